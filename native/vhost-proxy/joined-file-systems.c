/*
 * Virtiofsd tells where another of the host's file systems begins, and the guest makes a file system of its own of each. Linux
 * does not let such a one have POSIX access lists (fuse_fill_super_submount() in its fs/fuse/inode.c), so the containers' root
 * file systems, and volumes that are to have such lists, become parts of the share's own. No container sees two of the former, and
 * the daemon sees to the latter being of one file system of the host: that two have an inode number in common does no harm.
 */
#include "../share.h"
#include "vhost-proxy.h"

#include <linux/fuse.h>
#include <string.h>

/* More than the daemon's names for them have. */
enum { LONGEST_NAME = 32 };

static bool asks_for_one(const struct request *request, const uint8_t *shared) {
  struct fuse_in_header asked;
  char name[LONGEST_NAME + 1] = "";
  uint32_t length = request->lengths[SECOND_READABLE];
  if (request->lengths[FIRST_READABLE] != sizeof asked || length == 0 || length > LONGEST_NAME ||
      request->lengths[FURTHER_READABLE] != 0)
    return false;
  memcpy(&asked, shared + request->offsets[FIRST_READABLE], sizeof asked);
  memcpy(name, shared + request->offsets[SECOND_READABLE], length);
  return asked.opcode == FUSE_LOOKUP && strlen(name) == length - 1 && is_joined(name);
}

void join_file_system(const struct request *request, uint8_t *shared, uint32_t length) {
  struct fuse_entry_out found;
  if (!asks_for_one(request, shared) || request->lengths[FIRST_WRITABLE] != sizeof(struct fuse_out_header) ||
      length < sizeof(struct fuse_out_header) + sizeof found)
    return;
  uint8_t *answer = shared + request->offsets[FURTHER_WRITABLE];
  memcpy(&found, answer, sizeof found);
  found.attr.flags &= ~(uint32_t)FUSE_ATTR_SUBMOUNT;
  memcpy(answer, &found, sizeof found);
}
