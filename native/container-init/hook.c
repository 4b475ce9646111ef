/* A hook: a program that runs to its end before the plan goes on. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../place.h"
#include "container-init.h"

enum { DEFAULT_UMASK = 022 };

/* A filter that is kept for the program is the hook's as well. Before there is a program, its umask is not set yet, and the
 * working directory is the container's root, as runc has it. */
static _Noreturn void become_hook(struct context *context, const char *path, char **args, char **env, int input, int output) {
  struct filter *filter = context->filter;
  if (context->program == NULL) umask(DEFAULT_UMASK);
  bool ready = context->program != NULL || context->root < 0 || fchdir(context->root) == 0;
  ready = ready && put_in_place(input, 0, 0) == 0 && put_in_place(output, 1, 0) == 0 && put_in_place(output, 2, 0) == 0;
  if (ready && (filter == NULL || load_filter(filter) == 0)) execve(path, args, env);
  dprintf(output, "%s", strerror(errno));
  _exit(127);
}

/* The hook's end, or its limit: then it is killed and -1, ETIMEDOUT. */
static int await(pid_t pid, uint32_t timeout_ms, int *status) {
  int pidfd = pidfd_open(pid, 0);
  if (pidfd < 0) return -1;
  struct pollfd event = {.fd = pidfd, .events = POLLIN};
  int ready;
  do ready = poll(&event, 1, timeout_ms == 0 ? -1 : (int)timeout_ms);
  while (ready < 0 && errno == EINTR);
  if (ready <= 0) kill(pid, SIGKILL);
  waitpid(pid, status, 0);
  close(pidfd);
  if (ready > 0) return 0;
  errno = ETIMEDOUT;
  return -1;
}

static int describe(struct context *context, int status, int output) {
  const char *signal_name = strsignal(WTERMSIG(status));
  int length = WIFEXITED(status)
                   ? snprintf(context->detail, MAX_DETAIL, "exit status %d: ", WEXITSTATUS(status))
                   : snprintf(context->detail, MAX_DETAIL, "killed by signal %d (%c%s): ", WTERMSIG(status),
                              tolower((unsigned char)signal_name[0]), signal_name + 1);
  ssize_t count = pread(output, context->detail + length, (size_t)(MAX_DETAIL - 1 - length), 0);
  /* Without the colon when it said nothing. */
  context->detail[count > 0 ? length + count : length - 2] = '\0';
  context->detail[strcspn(context->detail, "\n")] = '\0';
  errno = 0;
  return -1;
}

int run_hook(struct context *context, struct arguments *arguments) {
  const char *path = take_string(arguments);
  char **args = take_strings(arguments, 0);
  char **env = take_strings(arguments, 1);
  bool has_home = take_u32(arguments) != 0;
  uint32_t timeout_ms = take_u32(arguments);
  if (args == NULL || env == NULL || all_taken(arguments) < 0) return -1;
  if (has_home) add_home(env, context->home);
  /* Files in memory, not pipes: neither a hook that reads nothing nor one that writes a lot can stop us. */
  int input = memfd_create("state", MFD_CLOEXEC);
  int output = memfd_create("output", MFD_CLOEXEC);
  int result = -1;
  if (input >= 0 && output >= 0) {
    const char *state = context->state == NULL ? "" : context->state + 1;
    ssize_t written = pwrite(input, state, context->state_length, 0);
    pid_t pid = written < 0 ? -1 : fork();
    if (pid == 0) become_hook(context, path, args, env, input, output);
    int status = 0;
    if (pid > 0) result = await(pid, timeout_ms, &status);
    if (result == 0 && status != 0) result = describe(context, status, output);
  }
  int error = errno;
  if (input >= 0) close(input);
  if (output >= 0) close(output);
  free(args);
  free(env);
  errno = error;
  return result;
}
