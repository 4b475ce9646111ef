#include "trial.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

struct vring trial_rings[QUEUES];
static uint8_t *memory;
static int kicks[QUEUES] = {-1, -1}, calls[QUEUES] = {-1, -1};
static uint16_t seen[QUEUES];
static uint64_t heard[QUEUES];

/* LOW and HIGH are adjacent for the guest. Here HIGH's memory comes first, with a hole after each. */
void make_ram(void) {
  if (memory == NULL)
    memory = mmap(NULL, (size_t)3 * 2 * REGION_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  expect(memory != MAP_FAILED);
  for (int each = 0; each < 3; each++)
    expect(mmap(memory + (size_t)each * 2 * REGION_BYTES, REGION_BYTES, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
}

static uint8_t *region(int index) { return memory + (size_t)index * 2 * REGION_BYTES; }

uint8_t *ram(uint64_t address) {
  if (address >= FAR) return region(2) + (address - FAR);
  if (address >= HIGH) return region(0) + (address - HIGH);
  return region(1) + (address - LOW);
}

static void tell(uint32_t type, const void *body, uint32_t size, int fd) {
  expect(send_message(qemu, type, 0, body, size, fd));
}

static uint64_t ask(uint32_t type) {
  struct message message;
  tell(type, NULL, 0, -1);
  expect(receive_message(qemu, &message));
  expect(message.type == type && message.size == sizeof(uint64_t) && message.flags == (1 | 4));
  return message.body.number;
}

void start_device(void) {
  struct memory_table table = {.count = 3};
  uint64_t starts[] = {LOW, HIGH, FAR};
  uint64_t features = ask(GET_FEATURES);
  expect(features == (FEATURE_VERSION_1 | FEATURE_RING_INDIRECT_DESC | FEATURE_PROTOCOL_FEATURES));
  expect(ask(GET_PROTOCOL_FEATURES) == 0);
  tell(SET_OWNER, NULL, 0, -1);
  tell(SET_FEATURES, &features, sizeof features, -1);
  for (int each = 0; each < 3; each++) {
    table.regions[each].guest_address = starts[each];
    table.regions[each].size = REGION_BYTES;
    table.regions[each].user_address = (uintptr_t)ram(starts[each]);
  }
  tell(SET_MEM_TABLE, &table, offsetof(struct memory_table, regions) + 3 * sizeof table.regions[0], 0);
  for (uint32_t index = 0; index < QUEUES; index++) start_queue(index, 0);
}

void start_queue(uint32_t index, uint16_t base) {
  uint8_t *bytes = ram(LOW + index * 0x10000);
  struct ring_state size = {index, GUEST_RING}, from = {index, base}, enabled = {index, 1};
  uint64_t number = index;
  struct vring *ring = &trial_rings[index];
  if (base == 0) memset(bytes, 0, 0x10000);
  vring_init(ring, GUEST_RING, bytes, PAGE);
  struct ring_addresses addresses = {.index = index,
                                     .descriptors = (uintptr_t)ring->desc,
                                     .available = (uintptr_t)ring->avail,
                                     .used = (uintptr_t)ring->used};
  seen[index] = base;
  close_fd(&kicks[index]);
  close_fd(&calls[index]);
  kicks[index] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  calls[index] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  tell(SET_VRING_NUM, &size, sizeof size, -1);
  tell(SET_VRING_BASE, &from, sizeof from, -1);
  tell(SET_VRING_ADDR, &addresses, sizeof addresses, -1);
  tell(SET_VRING_KICK, &number, sizeof number, kicks[index]);
  tell(SET_VRING_CALL, &number, sizeof number, calls[index]);
  tell(SET_VRING_ENABLE, &enabled, sizeof enabled, -1);
}

void begin_stop(uint32_t index) {
  struct ring_state state = {.index = index};
  tell(GET_VRING_BASE, &state, sizeof state, -1);
}

uint16_t end_stop(uint32_t index) {
  struct message message;
  expect(receive_message(qemu, &message));
  expect(message.type == GET_VRING_BASE && message.body.state.index == index);
  return (uint16_t)message.body.state.number;
}

void set_descriptor(struct vring_desc *table, uint16_t index, uint64_t address, uint32_t length, uint16_t flags,
                    uint16_t next) {
  table[index] = (struct vring_desc){.addr = address, .len = length, .flags = flags, .next = next};
}

void kick(uint32_t queue) {
  uint64_t one = 1;
  __sync_synchronize();
  expect(write(kicks[queue], &one, sizeof one) == sizeof one);
}

void submit(uint32_t queue, uint16_t head) {
  struct vring *ring = &trial_rings[queue];
  ring->avail->ring[ring->avail->idx % GUEST_RING] = head;
  __atomic_store_n(&ring->avail->idx, (uint16_t)(ring->avail->idx + 1), __ATOMIC_SEQ_CST);
  if ((__atomic_load_n(&ring->used->flags, __ATOMIC_SEQ_CST) & VRING_USED_F_NO_NOTIFY) == 0) kick(queue);
}

bool completed(uint32_t queue, uint16_t count) {
  uint16_t until = (uint16_t)(seen[queue] + count);
  struct pollfd called = {.fd = calls[queue], .events = POLLIN};
  while ((uint16_t)(__atomic_load_n(&trial_rings[queue].used->idx, __ATOMIC_ACQUIRE) - seen[queue]) < count) {
    uint64_t events;
    if (poll(&called, 1, 5000) <= 0 || read(calls[queue], &events, sizeof events) < 0) return false;
    heard[queue] += events;
  }
  seen[queue] = until;
  return true;
}

uint64_t times_called(uint32_t queue) { return heard[queue]; }

struct vring_used_elem last_used(uint32_t queue) {
  return trial_rings[queue].used->ring[(uint16_t)(seen[queue] - 1) % GUEST_RING];
}
