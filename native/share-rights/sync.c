/*
 * The containers' root file systems are parts of the share's own file system for the guest (native/vhost-proxy), while here the latter
 * is a small tmpfs that they are mounted on. So when the guest flushes the one (FUSE_SYNCFS), virtiofsd is to flush them all.
 */
#include "share-rights.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

/* In each container's folder (runtime/storage/share.ts). */
static const char ROOT_FILE_SYSTEM[] = "~rootfs";

/* Virtiofsd has nothing but the share in sight. */
static bool is_share(int fd) {
  struct stat given, share;
  return fstat(fd, &given) == 0 && fstatat(AT_FDCWD, "/", &share, 0) == 0 && given.st_dev == share.st_dev &&
         given.st_ino == share.st_ino;
}

/* Of a folder in the share, if it is a container's. */
static int flush_root(int share, const char *name, flush next) {
  int folder = openat(share, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder < 0) return 0;
  int root = openat(folder, ROOT_FILE_SYSTEM, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  close(folder);
  if (root < 0) return 0;
  int result = next(root), error = errno;
  close(root);
  errno = error;
  return result;
}

int flush_root_file_systems(int share, flush next) {
  int copy = openat(share, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *folders = copy < 0 ? NULL : fdopendir(copy);
  if (folders == NULL) {
    if (copy >= 0) close(copy);
    return -1;
  }
  int error = 0;
  for (const struct dirent *entry; (entry = readdir(folders)) != NULL;)
    if (entry->d_name[0] != '.' && flush_root(share, entry->d_name, next) < 0) error = errno;
  closedir(folders);
  errno = error;
  return error == 0 ? 0 : -1;
}

INTERPOSED int syncfs(int fd) {
  static flush next;
  if (next == NULL) next = (flush)dlsym(RTLD_NEXT, "syncfs");
  return is_share(fd) ? flush_root_file_systems(fd, next) : next(fd);
}
