/* tmpcopyup: a tmpfs starts with what was in the folder that it covers. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "container-init.h"

enum { MAX_DEPTH = 128, MAX_ATTRIBUTE = 65536, CHUNK = 1 << 20 };

/* A tmpfs without xattrs for users, or a security module's, is no reason to give up. */
static bool is_refusal(void) { return errno == ENOTSUP || errno == EPERM || errno == EINVAL; }

static int copy_attributes(int from, int to) {
  static char names[MAX_ATTRIBUTE];
  static char value[MAX_ATTRIBUTE];
  ssize_t length = flistxattr(from, names, sizeof names);
  if (length < 0) return is_refusal() ? 0 : -1;
  for (char *name = names; name < names + length; name += strlen(name) + 1) {
    ssize_t size = fgetxattr(from, name, value, sizeof value);
    if (size < 0 || fsetxattr(to, name, value, (size_t)size, 0) < 0) {
      if (!is_refusal()) return -1;
    }
  }
  return 0;
}

/* The mode last: a change of the owner clears set-user-ID. */
static int copy_status(int from, int to, const struct stat *status) {
  struct timespec times[] = {status->st_atim, status->st_mtim};
  if (fchown(to, status->st_uid, status->st_gid) < 0 || fchmod(to, status->st_mode & 07777) < 0) return -1;
  if (copy_attributes(from, to) < 0) return -1;
  return futimens(to, times);
}

static int copy_file(int from, int folder, const char *name, const struct stat *status) {
  int to = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (to < 0) return -1;
  ssize_t count;
  do count = sendfile(to, from, NULL, CHUNK);
  while (count > 0 || (count < 0 && errno == EINTR));
  return close_and_return(to, count < 0 ? -1 : copy_status(from, to, status));
}

static int copy_link(int from, int to, const char *name, const struct stat *status) {
  char target[PATH_MAX];
  ssize_t length = readlinkat(from, name, target, sizeof target - 1);
  if (length < 0) return -1;
  target[length] = '\0';
  if (symlinkat(target, to, name) < 0) return -1;
  return fchownat(to, name, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW);
}

static int copy_node(int to, const char *name, const struct stat *status) {
  if (mknodat(to, name, status->st_mode, status->st_rdev) < 0) return -1;
  return fchownat(to, name, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW);
}

static int copy_folder(int from, int to, int depth);

static int copy_entry(int from, int to, const char *name, int depth) {
  struct stat status;
  if (fstatat(from, name, &status, AT_SYMLINK_NOFOLLOW) < 0) return -1;
  if (S_ISLNK(status.st_mode)) return copy_link(from, to, name, &status);
  if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode)) return copy_node(to, name, &status);
  int entry = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (entry < 0) return -1;
  if (S_ISREG(status.st_mode)) return close_and_return(entry, copy_file(entry, to, name, &status));
  if (mkdirat(to, name, 0700) < 0) return close_and_return(entry, -1);
  int folder = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder < 0) return close_and_return(entry, -1);
  int result = copy_folder(entry, folder, depth + 1);
  if (result == 0) result = copy_status(entry, folder, &status);
  close_and_return(folder, 0);
  return close_and_return(entry, result);
}

/* Takes a copy of `from`, as reading a folder moves its descriptor's place. */
static int copy_folder(int from, int to, int depth) {
  if (depth > MAX_DEPTH) {
    errno = ELOOP;
    return -1;
  }
  int own = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (own < 0) return -1;
  DIR *folder = fdopendir(own);
  if (folder == NULL) return close_and_return(own, -1);
  int result = 0;
  for (;;) {
    errno = 0;
    struct dirent *entry = readdir(folder);
    if (entry == NULL) {
      if (errno != 0) result = -1;
      break;
    }
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    result = copy_entry(from, to, entry->d_name, depth);
    if (result < 0) break;
  }
  int error = errno;
  closedir(folder);
  errno = error;
  return result;
}

int copy_up(struct context *context, struct arguments *arguments) {
  const char *path = take_string(arguments);
  if (all_taken(arguments) < 0) return -1;
  int from = open_in_root(root_of(context), path, O_RDONLY | O_DIRECTORY);
  if (from < 0) return errno == ENOENT ? 0 : -1;
  int to = openat(context->tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (to < 0) return close_and_return(from, -1);
  int result = copy_folder(from, to, 0);
  close_and_return(to, 0);
  return close_and_return(from, result);
}
