#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../own-session.h"

enum { FDS = 128 };

struct program {
  /* The program's file, and after it its arguments. */
  char *const *words, *const *environment;
  const char *directory;
  const int *fds, *namespaces;
  int count, namespace_count;
  /* The root directory; -1 for the one that we have. */
  int root;
};

/* In the child's own copy of what says where it is: whoever looks at our /proc/PID/ns finds us where we are. */
static bool go_to_place(const struct program *program) {
  for (int each = 0; each < program->namespace_count; each++)
    if (setns(program->namespaces[each], 0) < 0) return false;
  if (program->root >= 0 && (fchdir(program->root) < 0 || chroot(".") < 0)) return false;
  return chdir(program->directory) == 0 || chdir("/") == 0;
}

/* In the child, which has our memory until it runs the program (vfork(2)): nothing here may change what we use. */
static void become(const struct program *program, volatile int *error) __attribute__((noreturn));
static void become(const struct program *program, volatile int *error) {
  begin_own_session();
  /* The descriptors of its place may be in those that the next lines take. */
  bool good = go_to_place(program);
  for (int fd = 0; good && fd < program->count; fd++) good = dup2(program->fds[fd], fd) >= 0;
  /* Whatever our caller had open. */
  if (good) good = close_range((unsigned)program->count, ~0U, CLOSE_RANGE_CLOEXEC) == 0;
  if (good) execve(program->words[0], program->words + 1, program->environment);
  *error = errno;
  _exit(127);
}

static pid_t start(const struct program *program, volatile int *error) {
  sigset_t all, before;
  sigfillset(&all);
  /* Our handlers may not run in the child. */
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t pid = vfork();
  if (pid == 0) become(program, error);
  if (pid < 0) *error = errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return pid;
}

/* Where the strings of a list begin, each of which ends with a NUL byte; the caller frees it. NULL when there is no memory, or they do not. */
static char **split(char *bytes, size_t length) {
  size_t count = 0;
  if (length > 0 && bytes[length - 1] != '\0') return NULL;
  for (size_t at = 0; at < length; at++) count += bytes[at] == '\0';
  char **words = calloc(count + 1, sizeof *words);
  if (words == NULL) return NULL;
  for (char *word = bytes, **next = words; word < bytes + length; word += strlen(word) + 1) *next++ = word;
  return words;
}

napi_value posix_spawn_program(napi_env env, napi_callback_info info) {
  napi_value arguments[6];
  void *bytes, *given, *variables, *namespaces;
  size_t length, size, variables_length, namespaces_size;
  struct program program = {0};
  char *directory = NULL;
  if (!read_arguments(env, info, 6, arguments) || !read_bytes(env, arguments[0], &bytes, &length) ||
      !read_bytes(env, arguments[1], &given, &size) || !read_bytes(env, arguments[2], &variables, &variables_length) ||
      !read_bytes(env, arguments[4], &namespaces, &namespaces_size) || !read_int(env, arguments[5], &program.root) ||
      !read_string(env, arguments[3], false, &directory))
    return NULL;
  int count = (int)(size / sizeof(int)), fds[FDS], made = 0;
  char **words = split(bytes, length), **environment = split(variables, variables_length);
  volatile int error = words == NULL || words[0] == NULL || environment == NULL || count > FDS ? E2BIG : 0;
  if (error == 0) memcpy(fds, given, (size_t)count * sizeof(int));
  /* Out of the way of those that they take the places of. */
  while (error == 0 && made < count && (fds[made] = fcntl(fds[made], F_DUPFD_CLOEXEC, count)) >= 0) made++;
  pid_t pid = -1;
  if (error == 0 && made < count) error = errno;
  program.words = words, program.environment = environment, program.directory = directory;
  program.fds = fds, program.count = count;
  program.namespaces = namespaces, program.namespace_count = (int)(namespaces_size / sizeof(int));
  if (error == 0) pid = start(&program, &error);
  for (int each = 0; each < made; each++) close(fds[each]);
  if (error != 0 && pid > 0) waitpid(pid, NULL, 0);
  napi_value result = error == 0 ? make_int(env, pid) : throw_errno(env, error, "execve", words == NULL ? NULL : words[0]);
  free(words);
  free(environment);
  free(directory);
  return result;
}

napi_value posix_reap(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  int pid, status;
  bool wait;
  if (!read_arguments(env, info, 2, arguments) || !read_int(env, arguments[0], &pid) || !read_bool(env, arguments[1], &wait)) return NULL;
  pid_t ended;
  do ended = waitpid(pid, &status, wait ? 0 : WNOHANG);
  while (ended < 0 && errno == EINTR);
  if (ended < 0) return throw_errno(env, errno, "waitpid", NULL);
  return make_int(env, ended == 0 ? -1 : status);
}

/* _exit(2): without what the C library and Node.js do at a process's end. */
napi_value posix_exit_at_once(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  int code;
  if (read_arguments(env, info, 1, arguments) && read_int(env, arguments[0], &code)) _exit(code);
  return NULL;
}

/* malloc_trim(3): the C library keeps what was freed, for itself. */
napi_value posix_trim_memory(napi_env env, napi_callback_info info) {
  (void)info;
  malloc_trim(0);
  return make_undefined(env);
}
