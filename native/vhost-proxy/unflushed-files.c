/*
 * At each close(2) the guest asks virtiofsd whether what was written has arrived (FUSE_FLUSH), and waits. Who had the file open for
 * reading has written nothing, so the guest is told not to ask (FOPEN_NOFLUSH): that is one request of five for a small file.
 */
#include "vhost-proxy.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <string.h>

static bool asks_to_read(const struct request *request, const uint8_t *shared) {
  struct fuse_in_header asked;
  struct fuse_open_in how;
  if (request->lengths[FIRST_READABLE] != sizeof asked || request->lengths[SECOND_READABLE] != sizeof how) return false;
  memcpy(&asked, shared + request->offsets[FIRST_READABLE], sizeof asked);
  memcpy(&how, shared + request->offsets[SECOND_READABLE], sizeof how);
  return asked.opcode == FUSE_OPEN && (how.flags & O_ACCMODE) == O_RDONLY;
}

void spare_flush(const struct request *request, uint8_t *shared, uint32_t length) {
  struct fuse_out_header header;
  struct fuse_open_out opened;
  if (!asks_to_read(request, shared) || request->lengths[FIRST_WRITABLE] != sizeof header ||
      length < sizeof header + sizeof opened)
    return;
  memcpy(&header, shared + request->offsets[FIRST_WRITABLE], sizeof header);
  if (header.error != 0) return;
  uint8_t *answer = shared + request->offsets[FURTHER_WRITABLE];
  memcpy(&opened, answer, sizeof opened);
  opened.open_flags |= FOPEN_NOFLUSH;
  memcpy(answer, &opened, sizeof opened);
}
