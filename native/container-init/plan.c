#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "container-init.h"

static const uint8_t *take(struct arguments *arguments, size_t count) {
  if (arguments->broken || (size_t)(arguments->end - arguments->at) < count) {
    arguments->broken = true;
    return NULL;
  }
  const uint8_t *start = arguments->at;
  arguments->at += count;
  return start;
}

uint32_t take_u32(struct arguments *arguments) {
  uint32_t value = 0;
  const uint8_t *bytes = take(arguments, sizeof value);
  if (bytes != NULL) memcpy(&value, bytes, sizeof value);
  return value;
}

uint64_t take_u64(struct arguments *arguments) {
  uint64_t value = 0;
  const uint8_t *bytes = take(arguments, sizeof value);
  if (bytes != NULL) memcpy(&value, bytes, sizeof value);
  return value;
}

const uint8_t *take_bytes(struct arguments *arguments, uint32_t *length) {
  *length = take_u32(arguments);
  const uint8_t *bytes = take(arguments, *length);
  if (bytes == NULL) *length = 0;
  return bytes;
}

char *take_string(struct arguments *arguments) {
  static char nothing[1];
  uint32_t length = take_u32(arguments);
  const uint8_t *bytes = take(arguments, (size_t)length + 1);
  if (bytes == NULL) return nothing;
  if (memchr(bytes, '\0', (size_t)length + 1) != bytes + length) {
    arguments->broken = true;
    return nothing;
  }
  return (char *)bytes;
}

char **take_strings(struct arguments *arguments, size_t spare) {
  uint32_t count = take_u32(arguments);
  /* Each string takes five bytes at least, so a wrong count cannot ask for much memory. */
  if (count > MAX_PLAN / 5) {
    arguments->broken = true;
    count = 0;
  }
  char **strings = calloc((size_t)count + spare + 1, sizeof *strings);
  if (strings == NULL) return NULL;
  for (uint32_t i = 0; i < count; i++) strings[i] = take_string(arguments);
  return strings;
}

int all_taken(const struct arguments *arguments) {
  if (!arguments->broken && arguments->at == arguments->end) return 0;
  errno = EBADMSG;
  return -1;
}

int parse_plan(struct plan *plan, const uint8_t *bytes, size_t length) {
  struct arguments rest = {.at = bytes, .end = bytes + length};
  uint32_t count = take_u32(&rest);
  if (count > length / 8) {
    errno = EBADMSG;
    return -1;
  }
  struct step *steps = calloc((size_t)count + 1, sizeof *steps);
  if (steps == NULL) return -1;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t size = take_u32(&rest);
    uint32_t head = take_u32(&rest);
    const uint8_t *start = take(&rest, size);
    if (start == NULL) break;
    steps[i] = (struct step){
        .operation = (uint16_t)head,
        .supervised = (head >> 16 & 1) != 0,
        .arguments = {.at = start, .end = start + size},
    };
  }
  plan->count = count;
  plan->steps = steps;
  return all_taken(&rest);
}
