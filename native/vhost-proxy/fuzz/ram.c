#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

struct guest_memory fuzz_memory;
struct vring fuzz_ring;
static uint8_t *regions[2], *before[2];
/* The first descriptors of its chains. */
static uint16_t heads[MOST_ENTRIES];
static uint32_t head_count;

void make_fuzz_ram(void) {
  for (int each = 0; each < 2; each++) {
    regions[each] = aligned_alloc(PAGE, FUZZ_REGION);
    before[each] = malloc(FUZZ_REGION);
    if (regions[each] == NULL || before[each] == NULL) abort();
    memset(regions[each], 0, FUZZ_REGION);
    add_region(&fuzz_memory, FUZZ_BASE + (uint64_t)each * FUZZ_REGION, FUZZ_REGION, (uintptr_t)regions[each]);
  }
}

static uint64_t some_address(void) {
  static const uint64_t EDGES[] = {0, 1, FUZZ_BASE - 1, FUZZ_BASE, FUZZ_BASE + FUZZ_REGION - 1, FUZZ_BASE + FUZZ_REGION,
                                   FUZZ_BASE + 2 * FUZZ_REGION - 16, FUZZ_BASE + 2 * FUZZ_REGION, UINT64_MAX, UINT64_MAX - 15,
                                   UINT64_C(1) << 63, UINT64_C(0xffffffff)};
  if (one_in(4)) return EDGES[below(sizeof EDGES / sizeof *EDGES)] - (one_in(2) ? below(64) : 0);
  return one_in(8) ? random_number() : FUZZ_BASE + below(2 * FUZZ_REGION);
}

static uint32_t some_length(void) {
  static const uint32_t EDGES[] = {0, 1, 15, 16, 4096, 16384, 16400, FUZZ_REGION, 2 * FUZZ_REGION, 0x1000000, 0x7fffffff, UINT32_MAX};
  return one_in(4) ? EDGES[below(sizeof EDGES / sizeof *EDGES)] : one_in(8) ? (uint32_t)random_number() : below(2000);
}

static void break_descriptor(struct vring_desc *descriptor) {
  switch (below(5)) {
    case 0: descriptor->addr = some_address(); break;
    case 1: descriptor->len = some_length(); break;
    case 2: descriptor->flags = (uint16_t)random_number(); break;
    case 3: descriptor->flags ^= (uint16_t)(1 << below(3)); break;
    default: descriptor->next = one_in(2) ? (uint16_t)random_number() : (uint16_t)below(MOST_ENTRIES + 2);
  }
}

/* What a driver writes: readable ones, then writable ones, each with the next. */
static void fill_table(struct vring_desc *table, uint32_t count) {
  uint32_t readable = 1 + below(count);
  for (uint32_t each = 0; each < count; each++) {
    uint16_t flags = (uint16_t)((each < readable ? 0 : VRING_DESC_F_WRITE) | (each + 1 < count ? VRING_DESC_F_NEXT : 0));
    uint32_t length = 1 + below(one_in(8) ? 6000 : 200);
    table[each] = (struct vring_desc){
        .addr = FUZZ_BASE + 4096 + below(2 * FUZZ_REGION - 4096 - length), .len = length, .flags = flags, .next = (uint16_t)(each + 1)};
  }
}

void fill_ring(struct guest_ring *ring) {
  uint32_t size = 1u << below(6);
  vring_init(&fuzz_ring, size, regions[0], 64);
  memset(regions[0], 0, vring_size(size, 64));
  *ring = (struct guest_ring){.size = size,
                              .descriptor_address = (uintptr_t)fuzz_ring.desc,
                              .available_address = (uintptr_t)fuzz_ring.avail,
                              .used_address = (uintptr_t)fuzz_ring.used};
  if (one_in(128)) ring->size = (uint32_t)random_number() >> below(32);
  if (one_in(128)) ring->used_address += below(2 * FUZZ_REGION);
  if (one_in(128)) ring->available_address -= below(2 * FUZZ_REGION);
  if (one_in(128)) ring->descriptor_address = random_number();
  head_count = 0;
  for (uint32_t first = 0, count; first < size; first += count) {
    heads[head_count++] = (uint16_t)first;
    count = 1 + below(size - first);
    fill_table(&fuzz_ring.desc[first], count);
    for (uint32_t each = first; each < first + count; each++) fuzz_ring.desc[each].next += (uint16_t)first;
  }
  if (one_in(2)) {
    /* The chain is elsewhere in one case of several; 40 descriptors are in the second region, or across its beginning. */
    uint32_t count = 1 + below(40), at = one_in(4) ? FUZZ_REGION - 16 * below(count) : FUZZ_REGION + 16 * below(FUZZ_REGION / 16 - 40);
    struct vring_desc table[40];
    fill_table(table, count);
    if (one_in(3)) break_descriptor(&table[below(count)]);
    guest_write(&fuzz_memory, FUZZ_BASE + at, table, count * sizeof *table);
    fuzz_ring.desc[heads[below(head_count)]] = (struct vring_desc){FUZZ_BASE + at, count * 16, VRING_DESC_F_INDIRECT, 0};
  }
  if (one_in(4)) break_descriptor(&fuzz_ring.desc[below(size)]);
  forget_problem();
}

void make_available(void) {
  uint32_t count = 1 + below(fuzz_ring.num);
  if (one_in(32)) fuzz_ring.avail->flags = (uint16_t)random_number();
  for (uint32_t each = 0; each < count; each++)
    fuzz_ring.avail->ring[(fuzz_ring.avail->idx + each) % fuzz_ring.num] =
        one_in(512) ? (uint16_t)random_number() : heads[below(head_count)];
  fuzz_ring.avail->idx = one_in(128) ? (uint16_t)random_number() : (uint16_t)(fuzz_ring.avail->idx + count);
}

void change_something(void) {
  if (one_in(8))
    *(volatile uint16_t *)&fuzz_ring.avail->idx = (uint16_t)(fuzz_ring.avail->idx + below(3));
  else if (one_in(3))
    break_descriptor((struct vring_desc *)(regions[1] + 16 * below(FUZZ_REGION / 16)));
  else
    break_descriptor(&((struct vring_desc *)regions[0])[below(MOST_ENTRIES)]);
}

void remember_ram(void) {
  for (int each = 0; each < 2; each++) memcpy(before[each], regions[each], FUZZ_REGION);
}

/* A change that is allowed becomes one that was there before; `offset` is from the first region's beginning on. */
static void allow(uint64_t offset, uint64_t length) {
  for (uint64_t each = 0; each < 2; each++) {
    uint64_t start = each * FUZZ_REGION, end = start + FUZZ_REGION;
    uint64_t from = offset > start ? offset : start, to = offset + length < end ? offset + length : end;
    if (from < to) memcpy(before[each] + from - start, regions[each] + from - start, to - from);
  }
}

bool is_ram_as_it_was(const struct queue *queue, const bool was_given[REQUESTS]) {
  for (uint32_t number = 0; number < REQUESTS; number++) {
    const struct request *request = &queue->requests[number];
    if (!was_given[number]) continue;
    for (uint32_t each = request->readable; each < request->readable + request->writable; each++)
      allow(request->segments[each].address - FUZZ_BASE, request->segments[each].length);
  }
  uint64_t used = queue->ring.used_address - (uintptr_t)regions[0];
  if (used >= FUZZ_REGION) used = FUZZ_REGION + queue->ring.used_address - (uintptr_t)regions[1];
  allow(used, sizeof(struct vring_used) + queue->ring.size * sizeof(struct vring_used_elem));
  return memcmp(before[0], regions[0], FUZZ_REGION) == 0 && memcmp(before[1], regions[1], FUZZ_REGION) == 0;
}
