#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK_SIZE = 16 * 1024 };

/* Has our memory, and every signal blocked: nothing here may change what we use. */
static int wait_to_be_killed(void *unused) __attribute__((noreturn));
static int wait_to_be_killed(void *unused) {
  (void)unused;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (;;) pause();
}

static pid_t start_in_user_namespace(char *stack) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t pid = clone(wait_to_be_killed, stack + STACK_SIZE, CLONE_NEWUSER | CLONE_VM | SIGCHLD, NULL);
  int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = error;
  return pid;
}

static int open_of(pid_t pid, const char *name, int flags) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  return open(path, flags | O_CLOEXEC);
}

/* The kernel takes a map in one write (user_namespaces(7)). */
static int write_map(pid_t pid, const char *name, const char *map) {
  int fd = open_of(pid, name, O_WRONLY);
  if (fd < 0) return -1;
  ssize_t written = write(fd, map, strlen(map));
  int error = errno;
  close(fd);
  errno = error;
  return written < 0 ? -1 : 0;
}

/* mount_setattr(2) takes a map for a mount in the form of a user namespace: one is made by a process that has no other
 * purpose, and lives on in the descriptor. */
napi_value posix_id_map(napi_env env, napi_callback_info info) {
  napi_value arguments[2], result = NULL;
  char *uids = NULL, *gids = NULL, *stack = malloc(STACK_SIZE);
  int fd = -1;
  if (read_arguments(env, info, 2, arguments) && read_string(env, arguments[0], false, &uids) &&
      read_string(env, arguments[1], false, &gids)) {
    errno = ENOMEM;
    pid_t pid = stack == NULL ? -1 : start_in_user_namespace(stack);
    if (pid > 0 && write_map(pid, "uid_map", uids) == 0 && write_map(pid, "gid_map", gids) == 0)
      fd = open_of(pid, "ns/user", O_RDONLY);
    int error = errno;
    if (pid > 0) {
      kill(pid, SIGKILL);
      while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
      }
    }
    result = fd < 0 ? throw_errno(env, error, "uid_map", NULL) : make_int(env, fd);
  }
  free(stack);
  free(uids);
  free(gids);
  return result;
}

napi_value posix_map_ids(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  int tree, map;
  bool recursive;
  if (!read_arguments(env, info, 3, arguments) || !read_int(env, arguments[0], &tree) ||
      !read_int(env, arguments[1], &map) || !read_bool(env, arguments[2], &recursive))
    return NULL;
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (unsigned)map};
  int flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
  if (mount_setattr(tree, "", flags, &attributes, sizeof attributes) < 0)
    return throw_errno(env, errno, "mount_setattr", NULL);
  return make_undefined(env);
}
