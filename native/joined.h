/* Which of the share's mounts are parts of the share's own file system for the guest: native/vhost-proxy and native/share-rights have that in common. */
#ifndef CAISSON_JOINED_H
#define CAISSON_JOINED_H

#include <stdbool.h>
#include <string.h>

/* By what the daemon calls them: a container's root file system (runtime/storage/share.ts), and volumes with access lists (runtime/storage/volumes.ts). */
static inline bool is_joined(const char *name) {
  static const char VOLUME[] = "~joined-";
  return strcmp(name, "~rootfs") == 0 || strncmp(name, VOLUME, sizeof VOLUME - 1) == 0;
}

#endif
