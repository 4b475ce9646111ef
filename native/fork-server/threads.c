#include "fork-server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* The signal is one that QEMU blocks in none of its threads, and nothing in it raises. */
enum { STOP_SIGNAL = SIGFPE };
enum { THREADS = 512, STOP_LIMIT_S = 3, PAUSE_NS = 2 * 1000 * 1000 };

struct thread {
  ucontext_t context;
  void *tls;
  /* Where the C library keeps its id (set_tid_address(2)), and its list of robust mutexes. */
  pid_t *id;
  void *robust_list;
  size_t robust_list_size;
  bool at_rest;
  /* In a copy. */
  volatile bool restarted;
  /* To be on until it is on its own again. */
  char stack[4096] __attribute__((aligned(16)));
};

static struct thread threads[THREADS];
/* How many of them are stopped, or have begun to be. */
static _Atomic int count, stopped;
/* Threads wait while it is odd. */
static _Atomic int generation;

static long futex(_Atomic int *word, int operation, int value, const struct timespec *limit) {
  return syscall(SYS_futex, word, operation, value, limit, NULL, 0);
}

/* In a call to the kernel, to which it goes back, or was when it was interrupted: SYSCALL is two bytes. */
static bool is_in_kernel(const ucontext_t *interrupted) {
  static const uint8_t SYSCALL[] = {0x0f, 0x05};
  const uint8_t *next = (const uint8_t *)interrupted->uc_mcontext.gregs[REG_RIP];
  return memcmp(next, SYSCALL, sizeof SYSCALL) == 0 || memcmp(next - 2, SYSCALL, sizeof SYSCALL) == 0;
}

static void stop_here(int signal, siginfo_t *info, void *interrupted) {
  int now = atomic_load(&generation);
  if (info->si_code != SI_TKILL || info->si_pid != getpid()) {
    struct sigaction fatal = {.sa_handler = SIG_DFL};
    sigaction(signal, &fatal, NULL);
    return;
  }
  if (now % 2 == 0) return;
  int error = errno;
  struct thread *thread = &threads[atomic_fetch_add(&count, 1)];
  thread->restarted = false;
  thread->at_rest = is_in_kernel(interrupted);
  thread->tls = __builtin_thread_pointer();
  if (prctl(PR_GET_TID_ADDRESS, &thread->id) < 0) thread->at_rest = false;
  syscall(SYS_get_robust_list, 0, &thread->robust_list, &thread->robust_list_size);
  getcontext(&thread->context);
  if (!thread->restarted) {
    atomic_fetch_add(&stopped, 1);
    futex(&stopped, FUTEX_WAKE_PRIVATE, 1, NULL);
    while (atomic_load(&generation) == now) futex(&generation, FUTEX_WAIT_PRIVATE, now, NULL);
  }
  errno = error;
}

/* Reads a line of a thread's file (proc(5), /proc/PID/task/TID). */
static void read_line(pid_t id, const char *name, char *line, size_t size) {
  char path[64];
  snprintf(path, sizeof path, "task/%d/%s", id, name);
  int file = open_own(path, O_RDONLY);
  ssize_t length = file < 0 ? 0 : read(file, line, size - 1);
  if (file >= 0) close(file);
  line[length > 0 ? length : 0] = '\0';
  line[strcspn(line, "\n")] = '\0';
}

/* Whether it waits for events (proc(5), /proc/PID/syscall). */
static bool waits(pid_t id) {
  /* The last one is any of them that was stopped and continued (restart_syscall(2)). */
  static const int CALLS[] = {SYS_poll, SYS_ppoll, SYS_futex, SYS_epoll_wait, SYS_epoll_pwait, SYS_restart_syscall};
  char line[128], *end;
  read_line(id, "syscall", line, sizeof line);
  long number = strtol(line, &end, 10);
  if (end == line) return false;
  for (size_t call = 0; call < sizeof CALLS / sizeof *CALLS; call++)
    if (CALLS[call] == number) return true;
  return false;
}

static bool refuse_for(pid_t id) {
  char name[32];
  read_line(id, "comm", name, sizeof name);
  return refused("QEMU's thread %d (%s) is at work", id, name);
}

/* All threads but ours. */
static int list_threads(pid_t ids[THREADS]) {
  pid_t own = (pid_t)syscall(SYS_gettid);
  DIR *directory = fdopendir(open_own("task", O_RDONLY | O_DIRECTORY));
  int found = 0;
  if (directory == NULL) return -1;
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    pid_t id = atoi(entry->d_name);
    if (id == 0 || id == own) continue;
    if (found == THREADS) {
      found = -1;
      break;
    }
    ids[found++] = id;
  }
  closedir(directory);
  return found;
}

static bool wait_until_stopped(int expected) {
  static const struct timespec LIMIT = {.tv_sec = 1};
  for (int now; (now = atomic_load(&stopped)) < expected;)
    if (futex(&stopped, FUTEX_WAIT_PRIVATE, now, &LIMIT) < 0 && errno == ETIMEDOUT) return false;
  return true;
}

/* False, with all of them running, when that cannot be now. */
static bool try_to_stop(void) {
  pid_t ids[THREADS], again[THREADS];
  int expected = list_threads(ids);
  if (expected < 0) return refused("QEMU's threads cannot be listed");
  for (int each = 0; each < expected; each++)
    if (!waits(ids[each])) return refuse_for(ids[each]);
  atomic_store(&count, 0);
  atomic_store(&stopped, 0);
  atomic_fetch_add(&generation, 1);
  for (int each = 0; each < expected; each++) syscall(SYS_tgkill, getpid(), ids[each], STOP_SIGNAL);
  bool all = wait_until_stopped(expected) && list_threads(again) == expected;
  for (int each = 0; all && each < expected; each++) all = threads[each].at_rest;
  if (all) return true;
  continue_threads();
  return refused("QEMU's threads do not stop");
}

bool stop_threads(void) {
  struct sigaction action = {.sa_sigaction = stop_here, .sa_flags = SA_SIGINFO | SA_RESTART};
  sigfillset(&action.sa_mask);
  if (sigaction(STOP_SIGNAL, &action, NULL) < 0) return failed("set a signal's handler");
  time_t limit = time(NULL) + STOP_LIMIT_S;
  while (!try_to_stop()) {
    if (time(NULL) > limit) return false;
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
  }
  return true;
}

void continue_threads(void) {
  atomic_fetch_add(&generation, 1);
  futex(&generation, FUTEX_WAKE_PRIVATE, THREADS, NULL);
}

static int go_on(void *argument) {
  struct thread *thread = argument;
  syscall(SYS_set_robust_list, thread->robust_list, thread->robust_list_size);
  setcontext(&thread->context);
  return 0;
}

bool restart_threads(void) {
  /* Signature of what pthread_create(3) starts. */
  static const int FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                           CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
  atomic_fetch_add(&generation, 1);
  for (int each = 0; each < atomic_load(&count); each++) {
    struct thread *thread = &threads[each];
    thread->restarted = true;
    if (clone(go_on, thread->stack + sizeof thread->stack, FLAGS, thread, thread->id, thread->tls, thread->id) < 0)
      return failed("start a thread");
  }
  return true;
}
