#include "trial.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <unistd.h>

enum { ASKED_AT = 0, DETAIL_AT = 64, HEADER_AT = 128, ANSWER_AT = 192 };
enum { LATER_US = 1100 * 1000 };

static struct cached_files files;
static uint8_t memory[4096];

static struct request request_with(uint32_t opcode, uint64_t node, const char *name) {
  struct fuse_in_header asked = {.opcode = opcode, .nodeid = node, .unique = 77};
  uint32_t length = (uint32_t)(sizeof(struct fuse_getxattr_in) + strlen(name) + 1);
  struct request request = {.readable = 2, .writable = 2};
  memset(memory, 0, sizeof memory);
  memcpy(memory + ASKED_AT, &asked, sizeof asked);
  memcpy(memory + DETAIL_AT + sizeof(struct fuse_getxattr_in), name, strlen(name));
  const uint32_t offsets[] = {ASKED_AT, DETAIL_AT, 0, HEADER_AT, ANSWER_AT};
  const uint32_t lengths[] = {sizeof asked, length, 0, sizeof(struct fuse_out_header), 512};
  memcpy(request.offsets, offsets, sizeof offsets);
  memcpy(request.lengths, lengths, sizeof lengths);
  const enum part parts[] = {FIRST_READABLE, SECOND_READABLE, FIRST_WRITABLE, FURTHER_WRITABLE};
  for (int each = 0; each < 4; each++)
    request.segments[each] = (struct segment){.address = LOW + offsets[parts[each]], .length = lengths[parts[each]]};
  return request;
}

/* Virtiofsd's answer passes by. */
static void pass(uint32_t opcode, uint64_t node, const char *name, int32_t error, uint64_t made) {
  struct request request = request_with(opcode, node, name);
  struct fuse_out_header header = {.len = sizeof header, .error = error};
  struct fuse_entry_out entry = {.nodeid = made};
  memcpy(memory + HEADER_AT, &header, sizeof header);
  memcpy(memory + ANSWER_AT, &entry, sizeof entry);
  note_new_capabilities(&files, &request, memory);
  note_missing_capabilities(&files, &request, memory, sizeof header + (made == 0 ? 0 : sizeof entry));
}

static bool is_answered(uint64_t node, const char *name) {
  struct guest_memory ours = {0};
  struct request request = request_with(FUSE_GETXATTR, node, name);
  struct fuse_out_header header;
  expect(add_region(&ours, LOW, sizeof memory, (uintptr_t)memory));
  uint32_t length = answer_about_capabilities(&files, &request, &ours);
  memcpy(&header, memory + HEADER_AT, sizeof header);
  expect(length == 0 ? header.len == 0
                     : length == sizeof header && header.len == length && header.error == -ENODATA && header.unique == 77);
  return length > 0;
}

static void answers_about_plain_files(void) {
  static const char NAME[] = "security.capability";
  expect(!is_answered(5, NAME));
  pass(FUSE_GETXATTR, 5, NAME, 0, 0);
  expect(!is_answered(5, NAME));
  pass(FUSE_GETXATTR, 5, NAME, -EPERM, 0);
  expect(!is_answered(5, NAME));
  pass(FUSE_GETXATTR, 5, NAME, -ENODATA, 0);
  expect(is_answered(5, NAME) && !is_answered(5 + CACHED_FILES, NAME));
  expect(!is_answered(5, "security.capabilitz") && !is_answered(5, "user.capability"));
  pass(FUSE_GETXATTR, 6, "user.of.another.name", -ENODATA, 0);
  expect(!is_answered(6, NAME));
  pass(FUSE_CREATE, 1, "new", 0, 9);
  expect(is_answered(9, NAME) && !is_answered(1, NAME));
  pass(FUSE_CREATE, 1, "new", -EEXIST, 10);
  expect(!is_answered(10, NAME));
  pass(FUSE_SETXATTR, 9, NAME, 0, 0);
  pass(FUSE_GETXATTR, 9, NAME, -ENODATA, 0);
  expect(!is_answered(9, NAME) && is_answered(5, NAME));
  usleep(LATER_US);
  expect(!is_answered(5, NAME));
}

const struct trial capabilities[] = {
    {"answers for a second that a file has no capabilities, until the guest gives it some", answers_about_plain_files},
    {0},
};
