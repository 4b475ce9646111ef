#include "vhost-proxy.h"

#include <string.h>

/*
 * The guest changes these as it likes: each is read once, by a load of its own.
 *
 * The flags by which either side could do without kicks or calls are not used: who sets or clears one has to look at the
 * other's index after that, and QEMU emulates a single processor's barrier (a locked instruction, in Linux) by instructions that
 * are none (CF_PARALLEL in its tcg/tcg-op.c). A kick would be lost now and then, and the guest would hang.
 */
static uint16_t load(const uint16_t *number) { return __atomic_load_n(number, __ATOMIC_ACQUIRE); }
static void store(uint16_t *number, uint16_t value) { __atomic_store_n(number, value, __ATOMIC_RELEASE); }

static bool is_aligned(const struct guest_ring *ring) {
  return ring->descriptor_address % VRING_DESC_ALIGN_SIZE == 0 && ring->available_address % VRING_AVAIL_ALIGN_SIZE == 0 &&
         ring->used_address % VRING_USED_ALIGN_SIZE == 0;
}

/* Without the event indices, which are for a feature that is not offered. */
bool find_ring(struct guest_ring *ring, const struct guest_memory *memory) {
  uint64_t size = ring->size;
  if (size == 0 || size > RING_SIZE || (size & (size - 1)) != 0)
    return refused("the guest's ring has %u entries: at most %d are carried, a power of two", ring->size, RING_SIZE);
  if (!is_aligned(ring)) return refused("the guest's ring is not aligned");
  ring->descriptors = at_user_address(memory, ring->descriptor_address, size * sizeof(struct vring_desc));
  ring->available =
      at_user_address(memory, ring->available_address, sizeof(struct vring_avail) + size * sizeof(uint16_t));
  ring->used =
      at_user_address(memory, ring->used_address, sizeof(struct vring_used) + size * sizeof(struct vring_used_elem));
  if (ring->descriptors == NULL || ring->available == NULL || ring->used == NULL)
    return refused("the guest's ring is not in RAM");
  return true;
}

/* A table of descriptors: the ring's, or an indirect one, at an address of the guest's. */
struct table {
  const struct vring_desc *ring;
  uint64_t address;
  uint32_t count;
};

static bool read_descriptor(const struct table *table, uint32_t index, const struct guest_memory *memory,
                            struct vring_desc *descriptor) {
  if (index >= table->count)
    return refused("the guest's ring is broken: there is no descriptor %u in a table of %u", index, table->count);
  if (table->ring != NULL)
    memcpy(descriptor, &table->ring[index], sizeof *descriptor);
  else if (!guest_read(memory, table->address + index * sizeof *descriptor, descriptor, sizeof *descriptor))
    return false;
  /* So that the compiler keeps this copy, in place of reading again what the guest may have changed since. */
  __asm__ volatile("" ::: "memory");
  return true;
}

static bool enter_indirect(struct table *table, const struct vring_desc *descriptor) {
  if (table->ring == NULL || (descriptor->flags & VRING_DESC_F_NEXT) != 0)
    return refused("the guest's ring is broken: an indirect descriptor is in an indirect table, or has a next one");
  uint32_t count = descriptor->len / sizeof *descriptor;
  if (count == 0 || count > RING_SIZE || descriptor->len % sizeof *descriptor != 0)
    return refused("the guest's ring is broken: an indirect table has %u bytes", descriptor->len);
  *table = (struct table){.address = descriptor->addr, .count = count};
  return true;
}

static bool walk(const struct guest_ring *ring, const struct guest_memory *memory, struct request *request) {
  struct table table = {.ring = ring->descriptors, .count = ring->size};
  uint32_t index = request->head;
  /* A chain has no more descriptors than a ring, and one that refers to an indirect table. */
  for (int each = 0; each <= RING_SIZE; each++) {
    struct vring_desc descriptor;
    if (!read_descriptor(&table, index, memory, &descriptor)) return false;
    if ((descriptor.flags & VRING_DESC_F_INDIRECT) != 0) {
      if (!enter_indirect(&table, &descriptor)) return false;
      index = 0;
      continue;
    }
    if (!add_segment(request, memory, &descriptor)) return false;
    if ((descriptor.flags & VRING_DESC_F_NEXT) == 0) {
      if (request->readable > 0) return true;
      return refused("the guest's ring is broken: a request has nothing to read");
    }
    index = descriptor.next;
  }
  return refused("the guest's ring is broken: a chain of descriptors has more than %d", RING_SIZE);
}

bool has_requests(const struct guest_ring *ring) { return load(&ring->available->idx) != ring->next_available; }

enum taken take_request(struct guest_ring *ring, const struct guest_memory *memory, struct request *request) {
  uint16_t ready = (uint16_t)(load(&ring->available->idx) - ring->next_available);
  if (ready == 0) return NOTHING;
  if (ready > ring->size) {
    refused("the guest's ring is broken: %u requests are ready in %u entries", ready, ring->size);
    return BROKEN;
  }
  begin_request(request, load(&ring->available->ring[ring->next_available % ring->size]));
  if (!walk(ring, memory, request)) return BROKEN;
  ring->next_available++;
  return TAKEN;
}

void give_back(struct guest_ring *ring, uint16_t head, uint32_t length) {
  ring->used->ring[ring->next_used % ring->size] = (struct vring_used_elem){.id = head, .len = length};
  ring->next_used++;
  store(&ring->used->idx, ring->next_used);
}
