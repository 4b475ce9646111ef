/* Paths that a container does not see, or may not write to. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container-init.h"

static int open_empty_folder(void) {
  int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
  if (fs < 0) return -1;
  if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) return close_and_return(fs, -1);
  return close_and_return(fs, fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY));
}

/* What is not there needs no mask. The null device is the guest's own: the image's may be anything (CVE-2025-31133). */
int mask_path(struct context *context, struct arguments *arguments) {
  const char *path = take_string(arguments);
  if (all_taken(arguments) < 0) return -1;
  int target = open_in_root(root_of(context), path, O_PATH);
  if (target < 0) return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
  struct stat status;
  if (fstat(target, &status) < 0) return close_and_return(target, -1);
  int tree = S_ISDIR(status.st_mode) ? open_empty_folder()
                                     : open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (tree < 0) return close_and_return(target, -1);
  int result = close_and_return(tree, move_to(tree, target));
  return close_and_return(target, result);
}

int make_path_readonly(struct context *context, struct arguments *arguments) {
  const char *path = take_string(arguments);
  if (all_taken(arguments) < 0) return -1;
  int target = open_in_root(root_of(context), path, O_PATH);
  if (target < 0) return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
  int tree = open_tree(target, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
  if (tree < 0) return close_and_return(target, -1);
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
  int result = set_attributes(tree, false, &attributes);
  if (result == 0) result = move_to(tree, target);
  result = close_and_return(tree, result);
  return close_and_return(target, result);
}
