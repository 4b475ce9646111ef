/*
 * A file without a name (open(2), O_TMPFILE) is a request of its own (FUSE_TMPFILE), which virtiofsd does not know. It has the form of one that
 * makes a file (FUSE_CREATE), so it becomes that; native/share-rights tells it by its flags, and makes the file without a name.
 */
#include "../share.h"
#include "vhost-proxy.h"

#include <linux/fuse.h>
#include <string.h>

void name_temporary_file(const struct request *request, uint8_t *shared) {
  struct fuse_in_header asked;
  /* The kernel's name for what has none is "/", which virtiofsd refuses. */
  static const char NAME[] = TEMPORARY_NAME;
  if (request->lengths[FIRST_READABLE] != sizeof asked || request->lengths[FURTHER_READABLE] != 0 ||
      request->lengths[SECOND_READABLE] != sizeof(struct fuse_create_in) + sizeof NAME)
    return;
  memcpy(&asked, shared + request->offsets[FIRST_READABLE], sizeof asked);
  if (asked.opcode != FUSE_TMPFILE) return;
  asked.opcode = FUSE_CREATE;
  memcpy(shared + request->offsets[FIRST_READABLE], &asked, sizeof asked);
  memcpy(shared + request->offsets[SECOND_READABLE] + sizeof(struct fuse_create_in), NAME, sizeof NAME);
}
