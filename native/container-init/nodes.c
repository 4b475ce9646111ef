/* What is made in the container's root: folders, devices, links. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "container-init.h"

int make_directory(struct context *context, struct arguments *arguments) {
  const char *path = take_string(arguments);
  mode_t mode = take_u32(arguments);
  if (all_taken(arguments) < 0) return -1;
  int fd = make_in_root(root_of(context), path, true, mode);
  if (fd < 0) return -1;
  close(fd);
  return 0;
}

/* What is not there will be made. */
int require_folder(struct context *context, struct arguments *arguments) {
  const char *path = take_string(arguments);
  if (all_taken(arguments) < 0) return -1;
  int fd = open_in_root(root_of(context), path, O_PATH | O_NOFOLLOW);
  if (fd < 0) return errno == ENOENT ? 0 : -1;
  struct stat status;
  int result = fstat(fd, &status);
  if (result == 0 && !S_ISDIR(status.st_mode)) {
    errno = ENOTDIR;
    result = -1;
  }
  return close_and_return(fd, result);
}

int make_device(struct context *context, struct arguments *arguments) {
  const char *path = take_string(arguments);
  mode_t mode = take_u32(arguments);
  uint32_t device_major = take_u32(arguments);
  uint32_t device_minor = take_u32(arguments);
  uid_t uid = take_u32(arguments);
  gid_t gid = take_u32(arguments);
  if (all_taken(arguments) < 0) return -1;
  const char *name;
  int parent = make_parent_in_root(root_of(context), path, &name);
  if (parent < 0) return -1;
  dev_t device = makedev(device_major, device_minor);
  int result = mknodat(parent, name, mode, device);
  if (result == 0) result = fchownat(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW);
  else if (errno == EEXIST) {
    /* The very device may be mounted there, or be in the image; anything else in its place would be trusted as if. */
    struct stat status;
    if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && (status.st_mode & S_IFMT) == (mode & S_IFMT) &&
        (S_ISFIFO(mode) || status.st_rdev == device)) {
      result = 0;
    } else errno = EEXIST;
  }
  return close_and_return(parent, result);
}

int make_symlink(struct context *context, struct arguments *arguments) {
  const char *target = take_string(arguments);
  const char *path = take_string(arguments);
  bool replace = take_u32(arguments) != 0;
  if (all_taken(arguments) < 0) return -1;
  const char *name;
  int parent = make_parent_in_root(root_of(context), path, &name);
  if (parent < 0) return -1;
  int result = symlinkat(target, parent, name);
  if (result < 0 && errno == EEXIST) {
    if (!replace) result = 0;
    else if (unlinkat(parent, name, 0) == 0) result = symlinkat(target, parent, name);
  }
  return close_and_return(parent, result);
}
