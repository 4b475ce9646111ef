/* Preloaded into QEMU (ld.so(8), LD_PRELOAD), so that its 9p server makes FIFOs, sockets and device nodes.
 *
 * After mknodat(2) the server sets the node's mode: it opens it with O_PATH and calls chmod(2) on /proc/self/fd. QEMU's fix
 * of CVE-2023-2861, which keeps a guest from having special files opened on the host, refuses that as well (7.2 in Debian 12:
 * mkfifo(3) and bind(2) fail with ENXIO in the guest, and the node is taken away again); later QEMUs let O_PATH pass. Nothing
 * can be read or written through such a descriptor (open(2)), so to call it a regular file opens nothing. */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

static bool is_special(mode_t mode) { return !S_ISREG(mode) && !S_ISDIR(mode) && !S_ISLNK(mode); }

__attribute__((visibility("default"))) int fstat64(int fd, struct stat64 *status) {
  int result = fstatat64(fd, "", status, AT_EMPTY_PATH);
  if (result < 0 || !is_special(status->st_mode)) return result;
  int flags = fcntl(fd, F_GETFL);
  if (flags >= 0 && (flags & O_PATH) != 0) status->st_mode = S_IFREG | (status->st_mode & 07777);
  return result;
}
