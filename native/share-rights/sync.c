/*
 * The containers' root file systems, and some volumes, are parts of the share's own file system for the guest (native/vhost-proxy), while
 * here the latter is a small tmpfs that they are mounted on. So when the guest flushes the one (FUSE_SYNCFS), virtiofsd is to flush them all.
 */
#include "../share.h"
#include "share-rights.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

/* Virtiofsd has nothing but the share in sight. */
static bool is_share(int fd) {
  struct stat given, share;
  return fstat(fd, &given) == 0 && fstatat(AT_FDCWD, "/", &share, 0) == 0 && given.st_dev == share.st_dev &&
         given.st_ino == share.st_ino;
}

static DIR *open_folder(int in, const char *name) {
  int fd = openat(in, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *folder = fd < 0 ? NULL : fdopendir(fd);
  if (folder == NULL && fd >= 0) close(fd);
  return folder;
}

static int flush_one(int folder, const char *name, flush next) {
  int root = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (root < 0) return 0;
  int result = next(root), error = errno;
  close(root);
  errno = error;
  return result;
}

/* Of a folder in the share: a container's, or that of the volumes. What is no folder has none. */
static int flush_folder(int share, const char *name, flush next) {
  DIR *folder = open_folder(share, name);
  if (folder == NULL) return 0;
  int error = 0;
  for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
    if (is_joined(entry->d_name) && flush_one(dirfd(folder), entry->d_name, next) < 0) error = errno;
  closedir(folder);
  errno = error;
  return error == 0 ? 0 : -1;
}

int flush_joined_file_systems(int share, flush next) {
  DIR *folders = open_folder(share, ".");
  if (folders == NULL) return -1;
  int error = 0;
  for (const struct dirent *entry; (entry = readdir(folders)) != NULL;)
    if (entry->d_name[0] != '.' && flush_folder(share, entry->d_name, next) < 0) error = errno;
  closedir(folders);
  errno = error;
  return error == 0 ? 0 : -1;
}

INTERPOSED int syncfs(int fd) {
  static flush next;
  if (next == NULL) next = (flush)dlsym(RTLD_NEXT, "syncfs");
  return is_share(fd) ? flush_joined_file_systems(fd, next) : next(fd);
}
