/* Mounts by the descriptor-based calls (fsopen(2) and on): a mount gets all its attributes before anyone can reach it,
 * and the place it goes to is a descriptor, not a path that may have changed. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "container-init.h"

static void replace_tree(struct context *context, int tree) {
  if (context->tree >= 0) close(context->tree);
  context->tree = tree;
}

int set_attributes(int fd, bool recursive, struct mount_attr *attributes) {
  return mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), attributes, sizeof *attributes);
}

int move_to(int tree, int target) {
  return move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

/* move_mount says EINVAL for a file on a folder and the reverse; what is wrong is known better here. */
static int check_kind(bool directory, int target) {
  struct stat status;
  if (fstat(target, &status) < 0) return -1;
  if (directory == S_ISDIR(status.st_mode)) return 0;
  errno = directory ? ENOTDIR : EISDIR;
  return -1;
}

int attach(struct context *context, int tree, const char *target) {
  struct stat status;
  if (fstat(tree, &status) < 0) return -1;
  bool directory = S_ISDIR(status.st_mode);
  int fd = make_in_root(root_of(context), target, directory, 0755);
  if (fd < 0) return -1;
  int result = check_kind(directory, fd);
  if (result == 0) result = move_to(tree, fd);
  return close_and_return(fd, result);
}

int set_propagation(struct context *context, struct arguments *arguments) {
  (void)context;
  const char *path = take_string(arguments);
  struct mount_attr attributes = {.propagation = take_u64(arguments)};
  if (all_taken(arguments) < 0) return -1;
  return mount_setattr(AT_FDCWD, path, AT_RECURSIVE, &attributes, sizeof attributes);
}

/* mount_setattr says EINVAL for what is no mount: goes up until it is one. */
static int make_holder_private(const char *path) {
  char *holder = realpath(path, NULL);
  if (holder == NULL) return -1;
  struct mount_attr attributes = {.propagation = MS_PRIVATE};
  int result;
  while ((result = mount_setattr(AT_FDCWD, holder, 0, &attributes, sizeof attributes)) < 0 && errno == EINVAL) {
    char *slash = strrchr(holder, '/');
    if (slash == NULL || holder[1] == '\0') break;
    slash[slash == holder ? 1 : 0] = '\0';
  }
  free(holder);
  return result;
}

/* Attaches the mount that is to be the root. */
static int use_as_root(struct context *context, int tree, int target) {
  if (move_to(tree, target) < 0) return -1;
  if (context->root >= 0) close(context->root);
  context->root = tree;
  return 0;
}

/* pivot_root(2) wants a mount for its new root; so the folder becomes one. */
int mount_root(struct context *context, struct arguments *arguments) {
  const char *path = take_string(arguments);
  bool private_holder = take_u32(arguments) != 0;
  if (all_taken(arguments) < 0) return -1;
  if (private_holder && make_holder_private(path) < 0) return -1;
  int target = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (target < 0) return -1;
  int tree = open_tree(target, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
  if (tree < 0) return close_and_return(target, -1);
  if (use_as_root(context, tree, target) == 0) return close_and_return(target, 0);
  close_and_return(tree, -1);
  return close_and_return(target, -1);
}

/* The open mount in its place: the way to the folder may be closed to the container's process. */
int attach_root(struct context *context, struct arguments *arguments) {
  const char *path = take_string(arguments);
  bool private_holder = take_u32(arguments) != 0;
  if (all_taken(arguments) < 0) return -1;
  if (private_holder && make_holder_private(path) < 0) return -1;
  int target = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (target < 0) return -1;
  if (use_as_root(context, context->tree, target) < 0) return close_and_return(target, -1);
  context->tree = -1;
  return close_and_return(target, 0);
}

static int clone_mounts(struct context *context, int folder, const char *path, unsigned int flags, bool recursive) {
  int tree = open_tree(folder, path, flags | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0));
  if (tree < 0) return -1;
  replace_tree(context, tree);
  return 0;
}

int open_source(struct context *context, struct arguments *arguments) {
  const char *source = take_string(arguments);
  bool recursive = take_u32(arguments) != 0;
  return all_taken(arguments) < 0 ? -1 : clone_mounts(context, AT_FDCWD, source, 0, recursive);
}

int open_source_in_root(struct context *context, struct arguments *arguments) {
  const char *path = take_string(arguments);
  bool recursive = take_u32(arguments) != 0;
  if (all_taken(arguments) < 0) return -1;
  int source = open_in_root(root_of(context), path, O_PATH);
  if (source < 0) return -1;
  return close_and_return(source, clone_mounts(context, source, "", AT_EMPTY_PATH, recursive));
}

/* A file system context's log has a line for the human: "e tmpfs: Bad value for 'size'" (fsopen(2)). */
static void take_message(struct context *context, int fs) {
  int error = errno;
  ssize_t count = read(fs, context->detail, MAX_DETAIL - 1);
  context->detail[count > 0 ? count : 0] = '\0';
  context->detail[strcspn(context->detail, "\n")] = '\0';
  if (strncmp(context->detail, "e ", 2) == 0) memmove(context->detail, context->detail + 2, MAX_DETAIL - 2);
  errno = error;
}

/* Each option is `key=value` or a flag. */
static int configure(struct context *context, int fs, char **options, unsigned int command) {
  for (char **option = options; *option != NULL; option++) {
    char *equals = strchr(*option, '=');
    int result;
    if (equals == NULL) result = fsconfig(fs, FSCONFIG_SET_FLAG, *option, NULL, 0);
    else {
      *equals = '\0';
      result = fsconfig(fs, FSCONFIG_SET_STRING, *option, equals + 1, 0);
      *equals = '=';
    }
    if (result < 0) {
      take_message(context, fs);
      if (context->detail[0] == '\0') snprintf(context->detail, MAX_DETAIL, "option %s", *option);
      return -1;
    }
  }
  if (fsconfig(fs, command, NULL, NULL, 0) == 0) return 0;
  take_message(context, fs);
  return -1;
}

int open_filesystem(struct context *context, struct arguments *arguments) {
  const char *type = take_string(arguments);
  char **options = take_strings(arguments, 0);
  uint64_t attributes = take_u64(arguments);
  if (options == NULL || all_taken(arguments) < 0) return -1;
  int fs = fsopen(type, FSOPEN_CLOEXEC);
  int tree = -1;
  if (fs < 0) return -1;
  if (configure(context, fs, options, FSCONFIG_CMD_CREATE) == 0) {
    tree = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned int)attributes);
    if (tree < 0) take_message(context, fs);
  }
  free(options);
  if (tree < 0) return close_and_return(fs, -1);
  close(fs);
  replace_tree(context, tree);
  return 0;
}

int set_tree_attributes(struct context *context, struct arguments *arguments) {
  bool recursive = take_u32(arguments) != 0;
  struct mount_attr attributes = {.attr_set = take_u64(arguments)};
  attributes.attr_clr = take_u64(arguments);
  attributes.propagation = take_u64(arguments);
  if (all_taken(arguments) < 0) return -1;
  return set_attributes(context->tree, recursive, &attributes);
}

int inherit_mode(struct context *context, struct arguments *arguments) {
  const char *path = take_string(arguments);
  if (all_taken(arguments) < 0) return -1;
  int fd = open_in_root(root_of(context), path, O_PATH | O_DIRECTORY);
  if (fd < 0) return errno == ENOENT ? 0 : -1;
  struct stat status;
  int result = fstat(fd, &status);
  /* A mount's descriptor is O_PATH, which fchmod(2) refuses. */
  if (result == 0) result = fchmodat(context->tree, ".", status.st_mode & 07777, 0);
  return close_and_return(fd, result);
}

int attach_tree(struct context *context, struct arguments *arguments) {
  const char *target = take_string(arguments);
  if (all_taken(arguments) < 0) return -1;
  if (attach(context, context->tree, target) < 0) return -1;
  /* What covers the root is the root. */
  if (strcmp(target, "/") == 0) {
    close(context->root);
    context->root = context->tree;
    context->tree = -1;
  }
  replace_tree(context, -1);
  return 0;
}

int attach_tree_if_possible(struct context *context, struct arguments *arguments) {
  const char *target = take_string(arguments);
  if (all_taken(arguments) < 0) return -1;
  attach(context, context->tree, target);
  replace_tree(context, -1);
  return 0;
}

int set_target_attributes(struct context *context, struct arguments *arguments) {
  const char *target = take_string(arguments);
  bool recursive = take_u32(arguments) != 0;
  struct mount_attr attributes = {.attr_set = take_u64(arguments)};
  attributes.attr_clr = take_u64(arguments);
  attributes.propagation = take_u64(arguments);
  if (all_taken(arguments) < 0) return -1;
  int fd = open_in_root(root_of(context), target, O_PATH);
  if (fd < 0) return -1;
  return close_and_return(fd, set_attributes(fd, recursive, &attributes));
}

int reconfigure(struct context *context, struct arguments *arguments) {
  const char *target = take_string(arguments);
  char **options = take_strings(arguments, 0);
  if (options == NULL || all_taken(arguments) < 0) return -1;
  int fd = open_in_root(root_of(context), target, O_PATH);
  if (fd < 0) return -1;
  int fs = fspick(fd, "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC);
  close_and_return(fd, 0);
  if (fs < 0) return -1;
  return close_and_return(fs, configure(context, fs, options, FSCONFIG_CMD_RECONFIGURE));
}

/* With "." for both, the old root ends up stacked on the new one (pivot_root(2), NOTES). Before it is taken away it must
 * not pass that on to the guest's mounts. */
int change_root(struct context *context, struct arguments *arguments) {
  if (all_taken(arguments) < 0) return -1;
  int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (old < 0) return -1;
  struct mount_attr attributes = {.propagation = MS_SLAVE};
  int result = fchdir(context->root);
  if (result == 0) result = (int)syscall(SYS_pivot_root, ".", ".");
  if (result == 0) result = set_attributes(old, true, &attributes);
  if (result == 0) result = umount2(".", MNT_DETACH);
  if (result == 0) result = chdir("/");
  return close_and_return(old, result);
}
