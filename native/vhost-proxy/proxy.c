/* CAISSON_VHOST_PROXY=N in the environment names the control socket: README.md says what comes and goes on it. */
#include "vhost-proxy.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOCKETS = 2, RETRY_MS = 10 * 1000 };

static int control;
/* The socket's peer has gone. */
static bool is_alone;

static void report(void) {
  char line[256];
  if (problem()[0] == '\0') return;
  int length = snprintf(line, sizeof line, "error %s\n", problem());
  /* Without anybody to be told there is nobody to miss it. */
  if (send(control, line, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) errno = 0;
  forget_problem();
}

/* Receives a byte with two sockets; more descriptors than fit are closed by the kernel. */
static bool receive_sockets(int sockets[SOCKETS]) {
  union {
    char bytes[CMSG_SPACE(SOCKETS * sizeof(int))];
    struct cmsghdr align;
  } rights;
  char byte;
  struct iovec data = {.iov_base = &byte, .iov_len = sizeof byte};
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = rights.bytes, .msg_controllen = sizeof rights.bytes};
  ssize_t length = recvmsg(control, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  is_alone = length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR);
  struct cmsghdr *header = length <= 0 ? NULL : CMSG_FIRSTHDR(&message);
  if (length <= 0) return false;
  size_t count = 0;
  if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
    count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  if (count > 0) memcpy(sockets, CMSG_DATA(header), count * sizeof(int));
  if (count == SOCKETS && (message.msg_flags & MSG_CTRUNC) == 0) return true;
  for (size_t each = 0; each < count; each++) close(sockets[each]);
  return refused("a device takes two sockets");
}

static struct device *attach(struct device *device) {
  int sockets[SOCKETS];
  if (!receive_sockets(sockets)) {
    report();
    return device;
  }
  if (device != NULL) {
    close(sockets[0]);
    close(sockets[1]);
    refused("a device is attached already");
    report();
    return device;
  }
  if (open_device(&device, sockets[0], sockets[1])) return device;
  if (problem()[0] == '\0') refused("virtiofsd hung up");
  close_device(device);
  report();
  return NULL;
}

static short wait_for_control(void) {
  /* A copy of a fork server's has another socket under this number: that is seen after the signal, or now and then. */
  struct pollfd watched = {.fd = is_alone ? -1 : control, .events = POLLIN};
  int ready = poll(&watched, 1, is_alone ? RETRY_MS : -1);
  is_alone = false;
  return ready > 0 ? watched.revents : 0;
}

static void *run(void *unused) {
  struct device *device = NULL;
  (void)unused;
  for (;;) {
    short events = 0;
    if (device == NULL) {
      events = wait_for_control();
    } else if (!serve_device(device, is_alone ? -1 : control, &events)) {
      close_device(device);
      device = NULL;
      report();
    }
    if (events != 0) device = attach(device);
  }
  return NULL;
}

__attribute__((constructor)) static void begin(void) {
  const char *descriptor = getenv("CAISSON_VHOST_PROXY");
  sigset_t most, before;
  pthread_t thread;
  if (descriptor == NULL || sscanf(descriptor, "%d", &control) != 1) return;
  /* All but the one by which the fork server stops threads. */
  sigfillset(&most);
  sigdelset(&most, SIGFPE);
  pthread_sigmask(SIG_SETMASK, &most, &before);
  if (pthread_create(&thread, NULL, run, NULL) != 0) _exit(1);
  pthread_setname_np(thread, "vhost-proxy");
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}
