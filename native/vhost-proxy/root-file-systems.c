/*
 * Virtiofsd tells where another of the host's file systems begins, and the guest makes a file system of its own of each. Linux
 * does not let such a one have POSIX access lists (fuse_fill_super_submount() in its fs/fuse/inode.c), so the containers' root
 * file systems become parts of the share's own: no container sees two of them, and inode numbers that two have in common do no harm.
 */
#include "vhost-proxy.h"

#include <linux/fuse.h>
#include <string.h>

/* What the daemon calls each of them (runtime/storage/share.ts). */
static const char NAME[] = "~rootfs";

static bool asks_for_one(const struct request *request, const uint8_t *shared) {
  struct fuse_in_header asked;
  if (request->lengths[FIRST_READABLE] != sizeof asked || request->lengths[SECOND_READABLE] != sizeof NAME ||
      request->lengths[FURTHER_READABLE] != 0)
    return false;
  memcpy(&asked, shared + request->offsets[FIRST_READABLE], sizeof asked);
  return asked.opcode == FUSE_LOOKUP && memcmp(shared + request->offsets[SECOND_READABLE], NAME, sizeof NAME) == 0;
}

void join_root_file_system(const struct request *request, uint8_t *shared, uint32_t length) {
  struct fuse_entry_out found;
  if (!asks_for_one(request, shared) || request->lengths[FIRST_WRITABLE] != sizeof(struct fuse_out_header) ||
      length < sizeof(struct fuse_out_header) + sizeof found)
    return;
  uint8_t *answer = shared + request->offsets[FURTHER_WRITABLE];
  memcpy(&found, answer, sizeof found);
  found.attr.flags &= ~(uint32_t)FUSE_ATTR_SUBMOUNT;
  memcpy(answer, &found, sizeof found);
}
