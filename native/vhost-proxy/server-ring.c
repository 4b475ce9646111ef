#include "vhost-proxy.h"

#include <stdatomic.h>
#include <string.h>

/*
 * Virtiofsd can write to all of the shared memory, so nothing of what was put there is read again: what is in flight is
 * known from the queue.
 */
static struct vring_avail *available(const struct server_ring *ring) {
  return (struct vring_avail *)(ring->bytes + AVAILABLE_AT);
}

static struct vring_used *used(const struct server_ring *ring) { return (struct vring_used *)(ring->bytes + USED_AT); }

void offer(struct server_ring *ring, uint32_t number, const struct request *request) {
  struct vring_desc *descriptors = (struct vring_desc *)(ring->bytes + DESCRIPTORS_AT);
  uint32_t first = number * REQUEST_DESCRIPTORS, next = first;
  for (int part = 0; part < PARTS; part++) {
    if (request->lengths[part] == 0) continue;
    descriptors[next] = (struct vring_desc){
        .addr = request->offsets[part],
        .len = request->lengths[part],
        .flags = (uint16_t)(VRING_DESC_F_NEXT | (part < FIRST_WRITABLE ? 0 : VRING_DESC_F_WRITE)),
        .next = (uint16_t)(next + 1),
    };
    next++;
  }
  descriptors[next - 1].flags &= (uint16_t)~VRING_DESC_F_NEXT;
  available(ring)->ring[ring->next_available % RING_SIZE] = (uint16_t)first;
  ring->next_available++;
  __atomic_store_n(&available(ring)->idx, ring->next_available, __ATOMIC_RELEASE);
}

bool wants_kick(const struct server_ring *ring) {
  /* Virtiofsd writes the flags and then reads our index. */
  atomic_thread_fence(memory_order_seq_cst);
  return (__atomic_load_n(&used(ring)->flags, __ATOMIC_RELAXED) & VRING_USED_F_NO_NOTIFY) == 0;
}

static uint16_t done_index(const struct server_ring *ring) {
  return __atomic_load_n(&used(ring)->idx, __ATOMIC_ACQUIRE);
}

bool has_done(const struct server_ring *ring) { return done_index(ring) != ring->next_used; }

enum taken take_done(struct server_ring *ring, uint32_t in_flight, uint32_t *number, uint32_t *length) {
  uint16_t ready = (uint16_t)(done_index(ring) - ring->next_used);
  if (ready == 0) return NOTHING;
  if (ready > in_flight) {
    refused("virtiofsd has completed %u requests of %u", ready, in_flight);
    return BROKEN;
  }
  const struct vring_used_elem *element = &used(ring)->ring[ring->next_used % RING_SIZE];
  uint32_t first = __atomic_load_n(&element->id, __ATOMIC_RELAXED);
  *length = __atomic_load_n(&element->len, __ATOMIC_RELAXED);
  if (first % REQUEST_DESCRIPTORS != 0 || first >= RING_SIZE) {
    refused("virtiofsd has completed a request %u that it does not have", first);
    return BROKEN;
  }
  *number = first / REQUEST_DESCRIPTORS;
  ring->next_used++;
  return TAKEN;
}
