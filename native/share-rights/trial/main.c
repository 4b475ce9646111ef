/*
 * share-rights-trial FOLDER, which is a share: prints which folders are flushed, and how a failure is told. share-rights-trial temporary FOLDER:
 * makes files without names there as virtiofsd would, and prints what comes of it.
 */
#include "../../share.h"
#include "../share-rights.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool fails;

static int tell(int fd) {
  char link[64], path[PATH_MAX] = "";
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  if (readlink(link, path, sizeof path - 1) < 0) return -1;
  puts(path);
  errno = EIO;
  return fails ? -1 : 0;
}

static int open_at_with(int folder, const char *name, int flags) {
  return open_maybe_temporary(folder, name, flags, 0640, openat);
}

/* Whether the two are one file, which has so many names. */
static bool is_same(int one, int other, nlink_t names) {
  struct stat first, second;
  return fstat(one, &first) == 0 && fstat(other, &second) == 0 && first.st_ino == second.st_ino && first.st_nlink == names;
}

static int make_temporary_files(const char *path) {
  enum { MAKE = O_TMPFILE | O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, LOOK = O_PATH | O_NOFOLLOW };
  char link[64];
  int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int file = open_at_with(folder, TEMPORARY_NAME, MAKE), found = open_at_with(folder, TEMPORARY_NAME, LOOK);
  printf("%d\n", is_same(file, found, 0));
  snprintf(link, sizeof link, "/proc/self/fd/%d", found);
  printf("%d\n", linkat(AT_FDCWD, link, folder, "linked", AT_SYMLINK_FOLLOW));
  /* It is found once, and only where it is looked up next. */
  printf("%d\n", open_at_with(folder, TEMPORARY_NAME, LOOK));
  int other = open_at_with(folder, TEMPORARY_NAME, MAKE), linked = open_at_with(folder, "linked", LOOK);
  printf("%d %d\n", is_same(file, linked, 1), open_at_with(folder, TEMPORARY_NAME, LOOK));
  close(file), close(found), close(other), close(linked);
  return dup(folder) == folder + 1 ? 0 : 1;
}

int main(int count, char **arguments) {
  if (count == 3 && strcmp(arguments[1], "temporary") == 0) return make_temporary_files(arguments[2]);
  int share = count == 2 ? open(arguments[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (share < 0) return 2;
  for (int round = 0; round < 2; round++, fails = true) {
    int result = flush_joined_file_systems(share, tell);
    printf("%d %s\n", result, result == 0 ? "" : strerrorname_np(errno));
  }
  /* Nothing has been left open. */
  return dup(share) == share + 1 ? 0 : 1;
}
