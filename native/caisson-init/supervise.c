#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "caisson-init.h"

#define AGENT_CGROUP "/sys/fs/cgroup/caisson-agent"
/* What the agent gets to end its containers when a shutdown was asked for. */
#define SHUTDOWN_WAIT_S 10

static pid_t start_agent(char *const argv[], char *const environment[], const sigset_t *signals)
{
  if (mkdir(AGENT_CGROUP, 0755) < 0 && errno != EEXIST)
    die("mkdir " AGENT_CGROUP);
  int cgroup = open(AGENT_CGROUP, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (cgroup < 0)
    die("open " AGENT_CGROUP);
  /* A leaf of its own keeps the agent out of every container's limits. It is made there: to be moved it would wait for a grace period, 8 ms. */
  struct clone_args child = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)cgroup};
  pid_t pid = (pid_t)syscall(SYS_clone3, &child, sizeof child);
  if (pid < 0)
    die("clone3");
  if (pid > 0) {
    close(cgroup);
    return pid;
  }
  sigprocmask(SIG_UNBLOCK, signals, NULL);
  setsid();
  write_file("/proc/self/oom_score_adj", "-1000");
  /* Woken, it lets whoever runs go on (sched(7), SCHED_BATCH): what a container-init or a process that ends has to tell comes by several
   * events, for each of which it would change places with them. */
  const struct sched_param none = {0};
  if (sched_setscheduler(0, SCHED_BATCH, &none) < 0)
    say("have the agent run as SCHED_BATCH: %s", strerror(errno));
  execve(argv[0], argv, environment);
  say("execute %s: %s", argv[0], strerror(errno));
  _exit(127);
}

/* Reaps every child that has ended. True when the agent was among them; its wait status is in *status then. */
static bool reap(pid_t agent, int *status)
{
  bool ended = false;
  for (;;) {
    int each;
    pid_t pid = waitpid(-1, &each, WNOHANG);
    if (pid <= 0)
      return ended;
    if (pid == agent) {
      *status = each;
      ended = true;
    }
  }
}

static void describe(int status)
{
  if (WIFSIGNALED(status))
    say("the agent was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
  else
    say("the agent exited with status %d", WEXITSTATUS(status));
}

/* Waits for a signal of the set; with a limit, 0 once that has passed. */
static int wait_signal(const sigset_t *signals, const struct timespec *limit)
{
  int signal = limit == NULL ? sigwaitinfo(signals, NULL) : sigtimedwait(signals, NULL, limit);
  return signal < 0 ? 0 : signal;
}

void supervise(char *const argv[], char *const environment[])
{
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, NULL);

  pid_t agent = start_agent(argv, environment, &signals);
  const struct timespec shutdown_limit = {.tv_sec = SHUTDOWN_WAIT_S};
  bool shutdown = false;
  int status = 0;
  for (;;) {
    int signal = wait_signal(&signals, shutdown ? &shutdown_limit : NULL);
    if (signal == SIGTERM && !shutdown) {
      shutdown = true;
      kill(agent, SIGTERM);
    }
    if (signal == 0 && shutdown) {
      say("the agent did not end within %d s of SIGTERM", SHUTDOWN_WAIT_S);
      kill(agent, SIGKILL);
    }
    /* Signals of one kind merge into one: reap all there is, whichever signal came. */
    if (reap(agent, &status))
      break;
  }
  bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (!shutdown || !clean)
    describe(status);
  if (!shutdown && !clean) {
    /* A guest without its agent is of no use to anybody: a reset, which the host did not ask for, tells it at once. */
    reboot(RB_AUTOBOOT);
    _exit(1);
  }
  kill(-1, SIGKILL);
  sync();
  reboot(RB_POWER_OFF);
  /* A machine without ACPI cannot be switched off. */
  reboot(RB_AUTOBOOT);
  _exit(1);
}
