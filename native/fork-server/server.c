/*
 * CAISSON_FORK_SERVER=MAKER,LISTENER in the environment names two descriptors.
 *
 * On the first one whoever has made this QEMU writes a byte when the guest is stopped for good, together with
 * descriptors that are to stay open with QEMU, is answered "ready" or "error WHY", and writes another byte when the
 * server can be found. Until then QEMU ends with that connection.
 *
 * Each connection to the second one asks for a copy, with one message of C ints: the user and group that it is to run
 * as, and the numbers of the descriptors that those which come with it take the places of. The answer is "pid N" or
 * "error WHY". The copy lives for as long as the connection, and how it ended is told on it: "exit STATUS" or
 * "signal NUMBER". A connection that sends the one number -1 ends the server, once all copies have ended.
 */
#include "fork-server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DESCRIPTORS = 80, COPIES = 2048, MESSAGE_LIMIT_S = 2, IDLE_LIMIT_MS = 60 * 60 * 1000 };
enum { END = -1 };

struct request {
  uid_t uid;
  int count;
  int targets[DESCRIPTORS];
  int fds[DESCRIPTORS];
};

static struct copy {
  pid_t pid;
  int connection, pidfd;
  bool is_killed;
} copies[COPIES];
static int copy_count;
static int listener;
/* The descriptors of the maker that its copies keep. */
static int kept[DESCRIPTORS], kept_count;

/* Without anybody to be told there is nobody to miss it. */
static void tell(int connection, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void tell(int connection, const char *format, ...) {
  char line[PROBLEM_BYTES + 16];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (send(connection, line, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return;
}

static void close_all(const int *fds, int count) {
  for (int each = 0; each < count; each++) close(fds[each]);
}

/* For as long as the copy lives it is its own guard, too: the server may have been killed. */
static void guard(int connection) __attribute__((noreturn));
static void guard(int connection) {
  struct pollfd gone = {.fd = connection, .events = POLLRDHUP};
  while (poll(&gone, 1, -1) <= 0) continue;
  kill(getpid(), SIGKILL);
  _exit(1);
}

static void become_copy(const struct request *request, int connection) __attribute__((noreturn));
static void become_copy(const struct request *request, int connection) {
  close(listener);
  for (int each = 0; each < copy_count; each++) {
    close(copies[each].connection);
    close(copies[each].pidfd);
  }
  close_all(kept, kept_count);
  bool good = renew_events();
  for (int each = 0; good && each < request->count; each++)
    good = replace_descriptor(request->fds[each], request->targets[each]);
  if (good && drop_rights(request->uid) && load_filter() && restart_threads()) guard(connection);
  tell(connection, "error %s\n", last_problem());
  _exit(1);
}

/* With namespaces of its own of each kind but the user's and the time's. */
static const unsigned long COPY = CLONE_PIDFD | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CLONE_NEWPID | CLONE_NEWNS |
                                  CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

static bool fork_qemu(const struct request *request, int connection) {
  if (copy_count == COPIES) return refused("there are %d copies already", COPIES);
  if (!stop_threads()) return false;
  pid_t *own_id = NULL;
  int pidfd = -1;
  prctl(PR_GET_TID_ADDRESS, &own_id);
  /* Not fork(3), which would tell the C library that the other threads are gone. No signal comes when it ends. */
  long pid = syscall(SYS_clone, COPY, NULL, &pidfd, own_id, 0);
  if (pid == 0) become_copy(request, connection);
  int error = errno;
  continue_threads();
  errno = error;
  if (pid < 0) return failed("fork");
  copies[copy_count++] = (struct copy){.pid = (pid_t)pid, .connection = connection, .pidfd = pidfd};
  tell(connection, "pid %ld\n", pid);
  return true;
}

/* Receives a message; returns its length, or a negative number. */
static ssize_t receive(int connection, void *bytes, size_t size, int fds[DESCRIPTORS], int *count) {
  union {
    char bytes[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
    struct cmsghdr align;
  } control;
  struct iovec data = {.iov_base = bytes, .iov_len = size};
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  ssize_t length = recvmsg(connection, &message, MSG_CMSG_CLOEXEC);
  struct cmsghdr *header = length < 0 ? NULL : CMSG_FIRSTHDR(&message);
  *count = 0;
  if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
    *count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(fds, CMSG_DATA(header), (size_t)*count * sizeof(int));
  }
  return length;
}

/* The user, the numbers, and as many descriptors. */
static bool receive_request(int connection, struct request *request) {
  struct timeval limit = {.tv_sec = MESSAGE_LIMIT_S};
  int numbers[1 + DESCRIPTORS];
  request->count = 0;
  if (setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0) return failed("limit a wait");
  ssize_t length = receive(connection, numbers, sizeof numbers, request->fds, &request->count);
  if (length < 0) return failed("receive a request");
  if (length != (ssize_t)((size_t)(1 + request->count) * sizeof(int))) return refused("the request is malformed");
  bool is_end = request->count == 0 && numbers[0] == END;
  if (!is_end && (request->count == 0 || numbers[0] <= 0)) return refused("the request is malformed");
  request->uid = (uid_t)numbers[0];
  memcpy(request->targets, numbers + 1, (size_t)request->count * sizeof(int));
  return true;
}

static void stop_listening(void) {
  close(listener);
  listener = -1;
}

static void serve_one(void) {
  int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (connection < 0) return;
  struct request request;
  bool good = receive_request(connection, &request);
  bool is_end = good && request.count == 0;
  bool keeps = good && !is_end && fork_qemu(&request, connection);
  if (is_end)
    stop_listening();
  else if (!keeps)
    tell(connection, "error %s\n", last_problem());
  close_all(request.fds, request.count);
  if (!keeps) close(connection);
}

/* Tells how it ended. */
static void bury(struct copy *copy) {
  int status = 0;
  if (waitpid(copy->pid, &status, __WALL) == copy->pid) {
    if (WIFSIGNALED(status))
      tell(copy->connection, "signal %d\n", WTERMSIG(status));
    else
      tell(copy->connection, "exit %d\n", WEXITSTATUS(status));
  }
  close(copy->connection);
  close(copy->pidfd);
  *copy = copies[--copy_count];
}

static void serve(void) __attribute__((noreturn));
static void serve(void) {
  static struct pollfd events[1 + 2 * COPIES];
  for (;;) {
    if (listener < 0 && copy_count == 0) _exit(0);
    /* A negative descriptor is passed over (poll(2)). */
    events[0] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (int each = 0; each < copy_count; each++) {
      events[1 + 2 * each] = (struct pollfd){.fd = copies[each].pidfd, .events = POLLIN};
      int watched = copies[each].is_killed ? -1 : copies[each].connection;
      events[2 + 2 * each] = (struct pollfd){.fd = watched, .events = POLLRDHUP};
    }
    int ready = poll(events, (nfds_t)(1 + 2 * copy_count), copy_count == 0 ? IDLE_LIMIT_MS : -1);
    if (ready == 0) _exit(0);
    if (ready < 0) continue;
    /* Backwards: burying one moves the last one to its place. */
    for (int each = copy_count - 1; each >= 0; each--) {
      if (events[1 + 2 * each].revents != 0)
        bury(&copies[each]);
      else if (events[2 + 2 * each].revents != 0)
        copies[each].is_killed = syscall(SYS_pidfd_send_signal, copies[each].pidfd, SIGKILL, NULL, 0) == 0;
    }
    if (events[0].revents != 0) serve_one();
  }
}

static void *wait_for_maker(void *argument) {
  int maker = *(int *)argument;
  char byte;
  if (receive(maker, &byte, sizeof byte, kept, &kept_count) != sizeof byte) _exit(1);
  bool good = take_processes() && can_fork_descriptors() && stop_threads();
  if (good) gather_memory();
  if (good) continue_threads();
  if (good)
    tell(maker, "ready\n");
  else
    tell(maker, "error %s\n", last_problem());
  /* Found by nobody it is of no use. */
  if (!good || read(maker, &byte, 1) != 1) _exit(1);
  close(maker);
  serve();
}

__attribute__((constructor)) static void begin(void) {
  static int maker;
  const char *descriptors = getenv("CAISSON_FORK_SERVER");
  sigset_t all, before;
  pthread_t thread;
  if (descriptors == NULL || sscanf(descriptors, "%d,%d", &maker, &listener) != 2) return;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  if (pthread_create(&thread, NULL, wait_for_maker, &maker) != 0) _exit(1);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}
