#include "vhost-proxy.h"

#include <string.h>

/* What a request can have is less than this: the larger arena, less a page for each part. */
enum { REQUEST_BYTES = SHARED_BYTES };
/* Parts that can be whole pages begin at one, for files that are open with O_DIRECT. */
enum { ALIGNMENT = 64 };

void begin_request(struct request *request, uint16_t head) {
  request->is_given = false;
  request->head = head;
  request->readable = request->writable = 0;
  memset(request->lengths, 0, sizeof request->lengths);
}

static enum part part_of(const struct request *request, uint32_t segment) {
  if (segment < request->readable)
    return segment < FURTHER_READABLE ? FIRST_READABLE + segment : FURTHER_READABLE;
  return segment == request->readable ? FIRST_WRITABLE : FURTHER_WRITABLE;
}

bool add_segment(struct request *request, const struct guest_memory *memory, const struct vring_desc *descriptor) {
  uint32_t count = request->readable + request->writable;
  bool is_writable = (descriptor->flags & VRING_DESC_F_WRITE) != 0;
  /* Virtiofsd ends itself over an empty one. */
  if (descriptor->len == 0) return true;
  if (count == RING_SIZE) return refused("the guest's ring is broken: a request has more than %d segments", RING_SIZE);
  if (!is_writable && request->writable > 0)
    return refused("the guest's ring is broken: a request has a readable segment after a writable one");
  if (descriptor->len > REQUEST_BYTES || !guest_has(memory, descriptor->addr, descriptor->len))
    return refused("the guest's ring is broken: %#x bytes at %#jx are not RAM", descriptor->len, (uintmax_t)descriptor->addr);
  request->segments[count] = (struct segment){.address = descriptor->addr, .length = descriptor->len};
  if (is_writable)
    request->writable++;
  else
    request->readable++;
  uint32_t *length = &request->lengths[part_of(request, count)];
  /* Neither is more than 16 MiB. */
  *length += descriptor->len;
  if (*length > REQUEST_BYTES) return refused("the guest's ring is broken: a request has more than %d bytes", REQUEST_BYTES);
  return true;
}

uint32_t offered(const struct request *request) {
  return request->lengths[FIRST_WRITABLE] + request->lengths[FURTHER_WRITABLE];
}

uint64_t lay_out(struct request *request) {
  uint64_t end = 0;
  for (int part = 0; part < PARTS; part++) {
    uint64_t alignment = request->lengths[part] < PAGE ? ALIGNMENT : PAGE;
    end = (end + alignment - 1) & ~(alignment - 1);
    request->offsets[part] = (uint32_t)end;
    end += request->lengths[part];
  }
  return end;
}

bool copy_from_guest(const struct request *request, const struct guest_memory *memory, uint8_t *shared) {
  uint32_t done[PARTS] = {0};
  for (uint32_t each = 0; each < request->readable; each++) {
    const struct segment *segment = &request->segments[each];
    enum part part = part_of(request, each);
    if (!guest_read(memory, segment->address, shared + request->offsets[part] + done[part], segment->length)) return false;
    done[part] += segment->length;
  }
  return true;
}

bool copy_to_guest(const struct request *request, const struct guest_memory *memory, const uint8_t *shared, uint32_t length) {
  uint32_t done[PARTS] = {0};
  uint32_t end = request->readable + request->writable;
  for (uint32_t each = request->readable; each < end && length > 0; each++) {
    const struct segment *segment = &request->segments[each];
    enum part part = part_of(request, each);
    uint32_t piece = segment->length < length ? segment->length : length;
    if (!guest_write(memory, segment->address, shared + request->offsets[part] + done[part], piece)) return false;
    done[part] += piece;
    length -= piece;
  }
  return true;
}
