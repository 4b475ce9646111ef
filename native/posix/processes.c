#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../own-session.h"

enum { FDS = 128 };

/* In the child, which has our memory until it runs the program (vfork(2)): nothing here may change what we use. */
static void become(char *const *words, char *const *environment, const int *fds, int count, volatile int *error) __attribute__((noreturn));
static void become(char *const *words, char *const *environment, const int *fds, int count, volatile int *error) {
  begin_own_session();
  bool good = chdir("/") == 0;
  for (int fd = 0; good && fd < count; fd++) good = dup2(fds[fd], fd) >= 0;
  /* Whatever our caller had open. */
  if (good) good = close_range((unsigned)count, ~0U, CLOSE_RANGE_CLOEXEC) == 0;
  if (good) execve(words[0], words, environment);
  *error = errno;
  _exit(127);
}

static pid_t start(char *const *words, char *const *environment, const int *fds, int count, volatile int *error) {
  sigset_t all, before;
  sigfillset(&all);
  /* Our handlers may not run in the child. */
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t pid = vfork();
  if (pid == 0) become(words, environment, fds, count, error);
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
  napi_value arguments[3];
  void *bytes, *given, *variables;
  size_t length, size, variables_length;
  if (!read_arguments(env, info, 3, arguments) || !read_bytes(env, arguments[0], &bytes, &length) ||
      !read_bytes(env, arguments[1], &given, &size) || !read_bytes(env, arguments[2], &variables, &variables_length))
    return NULL;
  int count = (int)(size / sizeof(int)), fds[FDS], made = 0;
  char **words = split(bytes, length), **environment = split(variables, variables_length);
  volatile int error = words == NULL || words[0] == NULL || environment == NULL || count > FDS ? E2BIG : 0;
  if (error == 0) memcpy(fds, given, (size_t)count * sizeof(int));
  /* Out of the way of those that they take the places of. */
  while (error == 0 && made < count && (fds[made] = fcntl(fds[made], F_DUPFD_CLOEXEC, count)) >= 0) made++;
  pid_t pid = -1;
  if (error == 0 && made < count) error = errno;
  if (error == 0) pid = start(words, environment, fds, count, &error);
  for (int each = 0; each < made; each++) close(fds[each]);
  if (error != 0 && pid > 0) waitpid(pid, NULL, 0);
  napi_value result = error == 0 ? make_int(env, pid) : throw_errno(env, error, "execve", words == NULL ? NULL : words[0]);
  free(words);
  free(environment);
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
