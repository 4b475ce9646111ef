/*
 * leash FD PROGRAM ARGUMENT...
 *
 * Runs a program whose life hangs on a socket, FD, in place of a parent: the socket can be handed from one process to
 * another, which a parent cannot be (prctl(2), PR_SET_PDEATHSIG). It tells the program's pid on the socket, kills the
 * program once nobody has the other end or whoever has it will write no more, and tells how the program ended.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *doing) {
  fprintf(stderr, "leash: %s: %s\n", doing, strerror(errno));
  exit(125);
}

static pid_t start(int leash, char **argv, const sigset_t *mask, pid_t parent) {
  pid_t pid = fork();
  if (pid != 0) return pid;
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) fail("prctl");
  /* The parent may have gone before that. */
  if (getppid() != parent) _exit(125);
  sigprocmask(SIG_SETMASK, mask, NULL);
  close(leash);
  execvp(argv[0], argv);
  fail(argv[0]);
  return -1;
}

/* What the program inherits is not ours to keep open. */
static void keep_only(int leash) {
  if (dup2(leash, 0) < 0) fail("dup2");
  if (close_range(1, ~0U, 0) < 0) exit(125);
}

static void tell(const char *word, int number) {
  char line[32];
  int length = snprintf(line, sizeof line, "%s %d\n", word, number);
  /* Without anybody to be told there is nobody to miss it. */
  if (send(0, line, (size_t)length, MSG_NOSIGNAL) < 0) return;
}

int main(int argc, char **argv) {
  if (argc < 3) return 125;
  int leash = atoi(argv[1]);
  sigset_t all, before;
  sigfillset(&all);
  if (sigprocmask(SIG_SETMASK, &all, &before) < 0) fail("sigprocmask");
  pid_t pid = start(leash, argv + 2, &before, getpid());
  if (pid < 0) fail("fork");
  keep_only(leash);
  tell("pid", pid);

  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  int ended = signalfd(-1, &child, SFD_CLOEXEC);
  struct pollfd events[] = {{.fd = 0, .events = POLLIN}, {.fd = ended, .events = POLLIN}};
  int status = 0;
  while (waitpid(pid, &status, WNOHANG) != pid) {
    if (poll(events, 2, -1) < 0 && errno != EINTR) break;
    char byte;
    if (events[0].revents != 0 && read(0, &byte, 1) <= 0) {
      kill(pid, SIGKILL);
      while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
      break;
    }
  }
  if (WIFSIGNALED(status))
    tell("signal", WTERMSIG(status));
  else
    tell("exit", WEXITSTATUS(status));
  return 0;
}
