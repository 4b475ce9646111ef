#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

napi_value posix_unshare(napi_env env, napi_callback_info info) {
  napi_value argument;
  unsigned long flags;
  if (!read_arguments(env, info, 1, &argument) || !read_flags(env, argument, &flags)) return NULL;
  if (unshare((int)flags) < 0) return throw_errno(env, errno, "unshare", NULL);
  return make_undefined(env);
}

napi_value posix_setns(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  int fd;
  unsigned long type;
  if (!read_arguments(env, info, 2, arguments) || !read_int(env, arguments[0], &fd) ||
      !read_flags(env, arguments[1], &type))
    return NULL;
  if (setns(fd, (int)type) < 0) return throw_errno(env, errno, "setns", NULL);
  return make_undefined(env);
}

napi_value posix_chroot(napi_env env, napi_callback_info info) {
  napi_value argument;
  int fd;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &fd)) return NULL;
  if (fchdir(fd) < 0) return throw_errno(env, errno, "fchdir", NULL);
  if (chroot(".") < 0) return throw_errno(env, errno, "chroot", NULL);
  return make_undefined(env);
}

napi_value posix_pivot_root(napi_env env, napi_callback_info info) {
  (void)info;
  if (syscall(SYS_pivot_root, ".", ".") < 0) return throw_errno(env, errno, "pivot_root", NULL);
  return make_undefined(env);
}

napi_value posix_mount(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  unsigned long flags;
  if (!read_arguments(env, info, 5, arguments) || !read_flags(env, arguments[3], &flags)) return NULL;
  char *source = NULL, *target = NULL, *type = NULL, *data = NULL;
  napi_value result = NULL;
  if (read_string(env, arguments[0], true, &source) && read_string(env, arguments[1], false, &target) &&
      read_string(env, arguments[2], true, &type) && read_string(env, arguments[4], true, &data)) {
    if (mount(source, target, type, flags, data) < 0)
      throw_errno(env, errno, "mount", target);
    else
      result = make_undefined(env);
  }
  free(source);
  free(target);
  free(type);
  free(data);
  return result;
}

napi_value posix_umount(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  unsigned long flags;
  char *target;
  if (!read_arguments(env, info, 2, arguments) || !read_flags(env, arguments[1], &flags) ||
      !read_string(env, arguments[0], false, &target))
    return NULL;
  napi_value result = NULL;
  if (umount2(target, (int)flags) < 0)
    throw_errno(env, errno, "umount2", target);
  else
    result = make_undefined(env);
  free(target);
  return result;
}

napi_value posix_clone_mounts(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  char *path;
  bool recursive;
  if (!read_arguments(env, info, 2, arguments) || !read_bool(env, arguments[1], &recursive) ||
      !read_string(env, arguments[0], false, &path))
    return NULL;
  int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0));
  napi_value result = NULL;
  if (fd < 0)
    throw_errno(env, errno, "open_tree", path);
  else
    result = make_int(env, fd);
  free(path);
  return result;
}

napi_value posix_set_read_only(napi_env env, napi_callback_info info) {
  napi_value argument;
  int fd;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &fd)) return NULL;
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
  if (mount_setattr(fd, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0)
    return throw_errno(env, errno, "mount_setattr", NULL);
  return make_undefined(env);
}

napi_value posix_attach_mounts(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  int fd;
  char *target;
  if (!read_arguments(env, info, 2, arguments) || !read_int(env, arguments[0], &fd) ||
      !read_string(env, arguments[1], false, &target))
    return NULL;
  napi_value result = NULL;
  if (move_mount(fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
    throw_errno(env, errno, "move_mount", target);
  else
    result = make_undefined(env);
  free(target);
  return result;
}
