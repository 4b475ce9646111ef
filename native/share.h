/* What native/vhost-proxy and native/share-rights have in common of the share. */
#ifndef CAISSON_SHARE_H
#define CAISSON_SHARE_H

#include <stdbool.h>
#include <string.h>

/* What stands for the name of a file without one, where virtiofsd must have some: as long as the kernel's. */
#define TEMPORARY_NAME "\x7f"

/*
 * Which of the share's mounts are parts of the share's own file system for the guest, by what the daemon calls them: a container's root
 * file system (runtime/storage/share.ts), and volumes with access lists (runtime/storage/volumes.ts).
 */
static inline bool is_joined(const char *name) {
  static const char VOLUME[] = "~joined-";
  return strcmp(name, "~rootfs") == 0 || strncmp(name, VOLUME, sizeof VOLUME - 1) == 0;
}

#endif
