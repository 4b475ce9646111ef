#include "trial.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int control, qemu, server;

void unexpected(const char *file, int line, const char *condition) {
  fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
  exit(1);
}

const char *said(void) {
  static char line[512];
  struct pollfd watched = {.fd = control, .events = POLLIN};
  line[0] = '\0';
  if (poll(&watched, 1, 300) <= 0) return line;
  ssize_t length = recv(control, line, sizeof line - 1, 0);
  expect(length > 7 && length <= 255 && line[length - 1] == '\n');
  line[length - 1] = '\0';
  return memcmp(line, "error ", 6) == 0 ? line + 6 : line;
}

static void send_sockets(int first, int second) {
  union {
    char bytes[CMSG_SPACE(2 * sizeof(int))];
    struct cmsghdr align;
  } rights = {0};
  int fds[] = {first, second};
  struct iovec data = {.iov_base = "x", .iov_len = 1};
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = rights.bytes, .msg_controllen = sizeof rights.bytes};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fds);
  memcpy(CMSG_DATA(header), fds, sizeof fds);
  expect(sendmsg(control, &message, 0) == 1);
  close(first);
  close(second);
}

void attach(void) {
  int first[2], second[2];
  expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, first) == 0);
  expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, second) == 0);
  qemu = first[0];
  server = second[0];
  send_sockets(first[1], second[1]);
}

void detach(void) {
  close(qemu);
  expect(hangs_up(server));
  end_echo();
  close(server);
}

bool hangs_up(int socket) {
  struct pollfd watched = {.fd = socket, .events = POLLRDHUP};
  return poll(&watched, 1, 1000) == 1;
}

