#include "vhost-proxy.h"

#include <string.h>

bool add_region(struct guest_memory *memory, uint64_t guest_address, uint64_t size, uint64_t user_address) {
  if (memory->count == REGIONS) return refused("QEMU's memory table has more than %d regions", REGIONS);
  if (size == 0 || guest_address + size < guest_address || user_address + size < user_address || user_address == 0)
    return refused("QEMU's memory table has a region of %#jx bytes at %#jx", (uintmax_t)size, (uintmax_t)guest_address);
  memory->regions[memory->count++] =
      (struct region){.guest_address = guest_address, .size = size, .bytes = (uint8_t *)(uintptr_t)user_address};
  return true;
}

/* The memory at `address`; `*length` becomes what of it is in the same region. NULL outside RAM. */
static uint8_t *find(const struct guest_memory *memory, uint64_t address, uint64_t *length) {
  for (int each = 0; each < memory->count; each++) {
    const struct region *region = &memory->regions[each];
    uint64_t offset = address - region->guest_address;
    if (address < region->guest_address || offset >= region->size) continue;
    if (*length > region->size - offset) *length = region->size - offset;
    return region->bytes + offset;
  }
  return NULL;
}

static bool outside(uint64_t address, uint64_t length) {
  return refused("the guest's ring is broken: %#jx bytes at %#jx are not RAM", (uintmax_t)length, (uintmax_t)address);
}

/* Adjacent regions of the guest's need not be adjacent here, so what spans two is found in pieces. */
bool guest_has(const struct guest_memory *memory, uint64_t address, uint64_t length) {
  for (uint64_t done = 0, piece; done < length; done += piece) {
    piece = length - done;
    if (find(memory, address + done, &piece) == NULL) return outside(address, length);
  }
  return true;
}

bool guest_read(const struct guest_memory *memory, uint64_t address, void *bytes, size_t length) {
  for (uint64_t done = 0, piece; done < length; done += piece) {
    piece = length - done;
    const uint8_t *found = find(memory, address + done, &piece);
    if (found == NULL) return outside(address, length);
    memcpy((uint8_t *)bytes + done, found, piece);
  }
  return true;
}

bool guest_write(const struct guest_memory *memory, uint64_t address, const void *bytes, size_t length) {
  for (uint64_t done = 0, piece; done < length; done += piece) {
    piece = length - done;
    uint8_t *found = find(memory, address + done, &piece);
    if (found == NULL) return outside(address, length);
    memcpy(found, (const uint8_t *)bytes + done, piece);
  }
  return true;
}

void *at_user_address(const struct guest_memory *memory, uint64_t address, uint64_t length) {
  for (int each = 0; each < memory->count; each++) {
    const struct region *region = &memory->regions[each];
    uint64_t offset = address - (uintptr_t)region->bytes;
    if (address >= (uintptr_t)region->bytes && offset < region->size && length <= region->size - offset)
      return region->bytes + offset;
  }
  return NULL;
}
