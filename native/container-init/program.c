/* The way into the container's program. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "container-init.h"

/* _NSIG - 1 of the kernel. */
#define LAST_SIGNAL 64

static int check_executable(const char *path) {
  struct stat status;
  if (stat(path, &status) < 0) return -1;
  if (!S_ISREG(status.st_mode)) {
    errno = EACCES;
    return -1;
  }
  if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0) return 0;
  /* The C library asks by faccessat2(2), which the container's filter may be too old to know: execve(2) has the last word. */
  if (errno != EPERM) return -1;
  if ((status.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) != 0) return 0;
  errno = EACCES;
  return -1;
}

/* The search is execvp(3)'s: an empty folder is the working directory, and a file that may not be run does not end the search,
 * but is what is complained about when nothing better comes. */
static int search(const char *name, const char *folders, char *found) {
  int error = ENOENT;
  for (const char *folder = folders;;) {
    size_t length = strcspn(folder, ":");
    int total = length == 0 ? snprintf(found, PATH_MAX, "./%s", name)
                            : snprintf(found, PATH_MAX, "%.*s/%s", (int)length, folder, name);
    if (total > 0 && total < PATH_MAX) {
      if (check_executable(found) == 0) return 0;
      if (errno == EACCES) error = EACCES;
    }
    if (folder[length] == '\0') break;
    folder += length + 1;
  }
  errno = error;
  return -1;
}

int find_program(struct context *context, struct arguments *arguments) {
  static char found[PATH_MAX];
  char *name = take_string(arguments);
  const char *folders = take_string(arguments);
  if (all_taken(arguments) < 0) return -1;
  if (strchr(name, '/') != NULL) {
    context->program = name;
    return check_executable(name);
  }
  context->program = found;
  return search(name, folders, found);
}

/* passwd(5): name:password:uid:gid:comment:home:shell. NULL unless the line is about this user. */
static char *home_in(char *line, uid_t uid) {
  char *fields[7] = {line};
  size_t count = 1;
  line[strcspn(line, "\n")] = '\0';
  for (char *at = line; count < 7 && (at = strchr(at, ':')) != NULL; count++) {
    *at++ = '\0';
    fields[count] = at;
  }
  if (count < 6) return NULL;
  char *end;
  errno = 0;
  unsigned long number = strtoul(fields[2], &end, 10);
  return errno == 0 && end != fields[2] && *end == '\0' && number == uid ? fields[5] : NULL;
}

/* The file is the image's: it need not be there, and need not be a file. */
int find_home(struct context *context, struct arguments *arguments) {
  uid_t uid = take_u32(arguments);
  if (all_taken(arguments) < 0) return -1;
  char *home = NULL;
  char *line = NULL;
  size_t capacity = 0;
  int fd = open("/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  struct stat status;
  if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
    FILE *file = fdopen(fd, "r");
    if (file == NULL) return -1;
    while (home == NULL && getline(&line, &capacity, file) >= 0) home = home_in(line, uid);
    fclose(file);
  } else if (fd >= 0) close(fd);
  if (home == NULL || *home == '\0') home = "/";
  int result = asprintf(&context->home, "HOME=%s", home);
  free(line);
  return result < 0 ? -1 : 0;
}

int wait_at_barrier(struct context *context, struct arguments *arguments) {
  if (all_taken(arguments) < 0) return -1;
  if (context->state == NULL && (context->state = malloc(MAX_STATE + 1)) == NULL) return -1;
  /* A pod's pid namespace may be held here for as long as the pod lives, and what others leave in it becomes our children:
   * with their signal ignored the kernel reaps them (wait(2)). Hooks are children that we wait for ourselves. */
  signal(SIGCHLD, SIG_IGN);
  if (send_packet(context, PACKET_REACHED, 0) < 0) return -1;
  ssize_t count;
  /* Not recv(2): the container's seccomp filter is in force by now, and few lack read(2). */
  do count = read(context->link, context->state, MAX_STATE + 1);
  while (count < 0 && errno == EINTR);
  /* The supervisor has gone, and with it whoever waits for us. */
  if (count <= 0) _exit(EXIT_FAILURE);
  signal(SIGCHLD, SIG_DFL);
  /* The first byte only keeps the packet from being empty. */
  context->state_length = (size_t)count - 1;
  return 0;
}

void add_home(char **env, char *home) {
  while (*env != NULL) env++;
  *env = home;
}

/* What the agent's own environment ignored would stay ignored past execve. By the bare system call, since glibc keeps
 * signals 32 and 33 for itself; SIGKILL and SIGSTOP cannot be ignored and answer EINVAL. */
static void reset_signals(void) {
  struct {
    void *handler;
    unsigned long flags;
    void *restorer;
    unsigned long mask;
  } fallback = {0};
  for (int signal = 1; signal <= LAST_SIGNAL; signal++)
    syscall(SYS_rt_sigaction, signal, &fallback, NULL, sizeof fallback.mask);
}

int execute(struct context *context, struct arguments *arguments) {
  char **args = take_strings(arguments, 0);
  char **env = take_strings(arguments, 1);
  if (args == NULL || env == NULL || all_taken(arguments) < 0) return -1;
  reset_signals();
  sigset_t none;
  sigemptyset(&none);
  if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || prctl(PR_SET_PDEATHSIG, 0) < 0) return -1;
  if (send_packet(context, PACKET_EXECUTING, 0) < 0) return -1;
  add_home(env, context->home);
  /* From here on the filter sees every call: it need allow no more than execve. */
  if (context->filter != NULL && load_filter(context->filter) < 0) {
    snprintf(context->detail, MAX_DETAIL, "loading the system call filter");
    return -1;
  }
  return execve(context->program, args, env);
}
