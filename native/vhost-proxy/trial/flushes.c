#include "trial.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <string.h>

enum { HOW_AT = 64, HEADER_AT = 128, ANSWER_AT = 192 };

/* Whether the guest is told not to flush what it opens by these flags. `cut` bytes of the answer are missing. */
static bool is_spared(uint32_t opcode, uint32_t flags, int32_t error, uint32_t cut) {
  uint8_t memory[1024] = {0};
  struct fuse_in_header asked = {.opcode = opcode};
  struct fuse_open_in how = {.flags = flags};
  struct fuse_out_header header = {.error = error};
  struct fuse_open_out opened = {.fh = 7, .open_flags = FOPEN_KEEP_CACHE};
  struct request request = {.readable = 2, .writable = 2};
  request.lengths[FIRST_READABLE] = sizeof asked;
  request.lengths[SECOND_READABLE] = sizeof how;
  request.lengths[FIRST_WRITABLE] = sizeof header;
  request.lengths[FURTHER_WRITABLE] = sizeof opened;
  request.offsets[SECOND_READABLE] = HOW_AT;
  request.offsets[FIRST_WRITABLE] = HEADER_AT;
  request.offsets[FURTHER_WRITABLE] = ANSWER_AT;
  memcpy(memory, &asked, sizeof asked);
  memcpy(memory + HOW_AT, &how, sizeof how);
  memcpy(memory + HEADER_AT, &header, sizeof header);
  memcpy(memory + ANSWER_AT, &opened, sizeof opened);
  spare_flush(&request, memory, (uint32_t)(sizeof header + sizeof opened) - cut);
  memcpy(&opened, memory + ANSWER_AT, sizeof opened);
  expect(opened.fh == 7 && (opened.open_flags & ~(uint32_t)FOPEN_NOFLUSH) == FOPEN_KEEP_CACHE);
  return (opened.open_flags & FOPEN_NOFLUSH) != 0;
}

static void spares_readers(void) {
  expect(is_spared(FUSE_OPEN, O_RDONLY, 0, 0) && is_spared(FUSE_OPEN, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0, 0));
  expect(!is_spared(FUSE_OPEN, O_WRONLY, 0, 0) && !is_spared(FUSE_OPEN, O_RDWR | O_APPEND, 0, 0));
  /* Linux takes both for writing. */
  expect(!is_spared(FUSE_OPEN, O_ACCMODE, 0, 0));
  expect(!is_spared(FUSE_OPENDIR, O_RDONLY, 0, 0) && !is_spared(FUSE_OPEN, O_RDONLY, -13, 0));
  for (uint32_t cut = 1; cut <= sizeof(struct fuse_open_out); cut++) expect(!is_spared(FUSE_OPEN, O_RDONLY, 0, cut));
}

const struct trial flushes[] = {
    {"lets the guest close what it has only read without asking", spares_readers},
    {0},
};
