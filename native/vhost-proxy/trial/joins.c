#include "trial.h"

#include <linux/fuse.h>
#include <string.h>

enum { NAME_AT = 64, HEADER_AT = 512, ANSWER_AT = 1024 };

/* Whether the guest hears that another file system begins at what it looks up by this name. `cut` bytes of the answer are missing. */
static bool is_announced(uint32_t opcode, const char *name, uint32_t cut) {
  uint8_t memory[4096] = {0};
  struct fuse_in_header asked = {.opcode = opcode};
  struct fuse_entry_out found = {.nodeid = 7, .attr = {.ino = 9, .flags = FUSE_ATTR_SUBMOUNT | FUSE_ATTR_DAX}};
  struct request request = {.readable = 2, .writable = 2};
  request.lengths[FIRST_READABLE] = sizeof asked;
  request.lengths[SECOND_READABLE] = (uint32_t)strlen(name) + 1;
  request.lengths[FIRST_WRITABLE] = sizeof(struct fuse_out_header);
  request.lengths[FURTHER_WRITABLE] = sizeof found;
  request.offsets[SECOND_READABLE] = NAME_AT;
  request.offsets[FIRST_WRITABLE] = HEADER_AT;
  request.offsets[FURTHER_WRITABLE] = ANSWER_AT;
  memcpy(memory, &asked, sizeof asked);
  memcpy(memory + NAME_AT, name, strlen(name) + 1);
  memcpy(memory + ANSWER_AT, &found, sizeof found);
  join_file_system(&request, memory, (uint32_t)(sizeof(struct fuse_out_header) + sizeof found) - cut);
  memcpy(&found, memory + ANSWER_AT, sizeof found);
  expect(found.nodeid == 7 && found.attr.ino == 9 && (found.attr.flags & FUSE_ATTR_DAX) != 0);
  return (found.attr.flags & FUSE_ATTR_SUBMOUNT) != 0;
}

static void joins_file_systems(void) {
  expect(!is_announced(FUSE_LOOKUP, "~rootfs", 0) && !is_announced(FUSE_LOOKUP, "~joined-12", 0));
  for (const char **other = (const char *[]){"rootfs", "~rootf", "~rootfs1", "", "~joined", "joined-1",
                                             "~joined-that-is-longer-than-any-is", NULL};
       *other != NULL; other++)
    expect(is_announced(FUSE_LOOKUP, *other, 0));
  expect(is_announced(FUSE_MKDIR, "~rootfs", 0));
  expect(is_announced(FUSE_LOOKUP, "~rootfs", 1) && is_announced(FUSE_LOOKUP, "~rootfs", sizeof(struct fuse_entry_out)));
}

const struct trial joins[] = {
    {"makes root file systems, and volumes with access lists, parts of the share's own", joins_file_systems},
    {0},
};
