#include "trial.h"

#include <string.h>

void begin(enum misdeed misdeed) {
  attach();
  serve_echo(misdeed);
  start_device();
}

void fill(uint64_t address, uint32_t length, uint32_t seed) {
  for (uint32_t each = 0; each < length; each++) *ram(address + each) = (uint8_t)(seed + each * 7 + each / 251);
}

bool is_echo(uint64_t from, uint64_t to, uint32_t length) {
  for (uint32_t each = 0; each < length; each++)
    if (*ram(to + each) != (*ram(from + each) ^ 0x5a)) return false;
  return true;
}

/* 40 and 16 bytes to read, 16 and 104 to write: what a FUSE request looks like. */
void submit_small(uint32_t queue, uint16_t first) {
  struct vring_desc *table = trial_rings[queue].desc;
  uint64_t at = LOW + 0x100000 + first * 0x1000u;
  fill(at, 56, first);
  memset(ram(at + 256), 0, 512);
  set_descriptor(table, first, at, 40, NEXT, first + 1);
  set_descriptor(table, first + 1, at + 40, 16, NEXT, first + 2);
  set_descriptor(table, first + 2, at + 256, 16, NEXT | WRITE, first + 3);
  set_descriptor(table, first + 3, at + 272, 104, WRITE, 0);
  submit(queue, first);
}

void check_small(uint32_t queue, uint16_t first) {
  uint64_t at = LOW + 0x100000 + first * 0x1000u;
  struct vring_used_elem used = last_used(queue);
  expect(used.id == first && used.len == 56);
  expect(is_echo(at, at + 256, 56) && *ram(at + 256 + 56) == 0);
}

/* An indirect table of pages, in reverse order, across the border of two regions. */
void submit_large(uint16_t head, uint32_t pages, uint64_t from, uint64_t to) {
  uint64_t table_at = HIGH - 3 * sizeof(struct vring_desc) + head * 0x8000u;
  for (uint32_t page = 0; page < 2 * pages; page++) {
    bool is_read = page < pages;
    struct vring_desc descriptor = {
        .addr = is_read ? from + (uint64_t)page * PAGE : to + (uint64_t)(page - pages) * PAGE,
        .len = PAGE,
        .flags = (uint16_t)((is_read ? 0 : WRITE) | (page + 1 < 2 * pages ? NEXT : 0)),
        .next = (uint16_t)(page + 1)};
    for (size_t byte = 0; byte < sizeof descriptor; byte++)
      *ram(table_at + page * sizeof descriptor + byte) = ((uint8_t *)&descriptor)[byte];
  }
  set_descriptor(trial_rings[REQUEST_QUEUE].desc, head, table_at, 2 * pages * sizeof(struct vring_desc), INDIRECT, 0);
  submit(REQUEST_QUEUE, head);
}
