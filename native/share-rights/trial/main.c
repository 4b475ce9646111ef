/* share-rights-trial FOLDER, which is a share: prints which folders are flushed, and how a failure is told. */
#include "../share-rights.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
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

int main(int count, char **arguments) {
  int share = count == 2 ? open(arguments[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (share < 0) return 2;
  for (int round = 0; round < 2; round++, fails = true) {
    int result = flush_joined_file_systems(share, tell);
    printf("%d %s\n", result, result == 0 ? "" : strerrorname_np(errno));
  }
  /* Nothing has been left open. */
  return dup(share) == share + 1 ? 0 : 1;
}
