#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS = 64, FDS = 16 };

/* In the child, which has our memory until it runs the program (vfork(2)): nothing here may change what we use. */
static void become(char *const *words, char *const *environment, const int *fds, int count, volatile int *error) __attribute__((noreturn));
static void become(char *const *words, char *const *environment, const int *fds, int count, volatile int *error) {
  struct sigaction usual = {.sa_handler = SIG_DFL};
  sigset_t none;
  setsid();
  for (int number = 1; number < NSIG; number++) sigaction(number, &usual, NULL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
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

/* Strings that each end with a NUL byte. */
static int split(char *bytes, size_t length, char *words[WORDS + 1]) {
  int count = 0;
  if (length > 0 && bytes[length - 1] != '\0') return -1;
  for (char *word = bytes; word < bytes + length; word += strlen(word) + 1) {
    if (count == WORDS) return -1;
    words[count++] = word;
  }
  words[count] = NULL;
  return count;
}

napi_value posix_spawn_program(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  void *bytes, *given, *variables;
  size_t length, size, variables_length;
  if (!read_arguments(env, info, 3, arguments) || !read_bytes(env, arguments[0], &bytes, &length) ||
      !read_bytes(env, arguments[1], &given, &size) || !read_bytes(env, arguments[2], &variables, &variables_length))
    return NULL;
  char *words[WORDS + 1], *environment[WORDS + 1];
  int count = (int)(size / sizeof(int)), fds[FDS], made = 0;
  if (split(bytes, length, words) < 1 || split(variables, variables_length, environment) < 0 || count > FDS) return throw_errno(env, E2BIG, "execve", NULL);
  memcpy(fds, given, (size_t)count * sizeof(int));
  volatile int error = 0;
  /* Out of the way of those that they take the places of. */
  while (made < count && (fds[made] = fcntl(fds[made], F_DUPFD_CLOEXEC, count)) >= 0) made++;
  pid_t pid = -1;
  if (made < count)
    error = errno;
  else
    pid = start(words, environment, fds, count, &error);
  for (int each = 0; each < made; each++) close(fds[each]);
  if (error == 0) return make_int(env, pid);
  if (pid > 0) waitpid(pid, NULL, 0);
  return throw_errno(env, error, "execve", words[0]);
}

napi_value posix_reap(napi_env env, napi_callback_info info) {
  napi_value argument;
  int pid, status;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &pid)) return NULL;
  pid_t ended;
  do ended = waitpid(pid, &status, 0);
  while (ended < 0 && errno == EINTR);
  if (ended < 0) return throw_errno(env, errno, "waitpid", NULL);
  return make_int(env, status);
}
