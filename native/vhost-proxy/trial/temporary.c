#include "trial.h"

#include <linux/fuse.h>
#include <string.h>

enum { HOW_AT = 64, NAME_AT = HOW_AT + sizeof(struct fuse_create_in) };

/* What virtiofsd is asked when the guest asks for this, with a name of `length` bytes. */
static uint32_t becomes(uint32_t opcode, const char *name, uint32_t length, const char *given) {
  uint8_t memory[1024] = {0};
  struct fuse_in_header asked = {.opcode = opcode, .nodeid = 5, .len = 58};
  struct fuse_create_in how = {.flags = 2, .mode = 0600};
  struct request request = {.readable = 2, .writable = 2};
  request.lengths[FIRST_READABLE] = sizeof asked;
  request.lengths[SECOND_READABLE] = (uint32_t)sizeof how + length;
  request.offsets[SECOND_READABLE] = HOW_AT;
  memcpy(memory, &asked, sizeof asked);
  memcpy(memory + HOW_AT, &how, sizeof how);
  memcpy(memory + NAME_AT, name, strlen(name) + 1);
  name_temporary_file(&request, memory);
  memcpy(&asked, memory, sizeof asked);
  memcpy(&how, memory + HOW_AT, sizeof how);
  expect(asked.nodeid == 5 && asked.len == 58 && how.flags == 2 && how.mode == 0600);
  expect(strcmp((char *)memory + NAME_AT, given) == 0);
  return asked.opcode;
}

static void makes_files(void) {
  expect(becomes(FUSE_TMPFILE, "/", 2, "\x7f") == FUSE_CREATE);
  expect(becomes(FUSE_CREATE, "a", 2, "a") == FUSE_CREATE && becomes(FUSE_MKDIR, "/", 2, "/") == FUSE_MKDIR);
  expect(becomes(FUSE_TMPFILE, "/", 1, "/") == FUSE_TMPFILE && becomes(FUSE_TMPFILE, "ab", 3, "ab") == FUSE_TMPFILE);
}

const struct trial temporary[] = {
    {"has virtiofsd make a file where the guest asks for one without a name", makes_files},
    {0},
};
