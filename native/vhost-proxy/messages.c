#include "vhost-proxy.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADER_BYTES = 12, VERSION = 1, VERSION_MASK = 3 };

void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

void close_fds(struct message *message) {
  for (int each = 0; each < message->fd_count; each++) close_fd(&message->fds[each]);
  message->fd_count = 0;
}

static void take_fds(struct message *message, struct msghdr *received) {
  for (struct cmsghdr *header = CMSG_FIRSTHDR(received); header != NULL; header = CMSG_NXTHDR(received, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    message->fd_count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(message->fds, CMSG_DATA(header), (size_t)message->fd_count * sizeof(int));
  }
}

static bool receive_header(int socket, struct message *message) {
  union {
    char bytes[CMSG_SPACE(MESSAGE_FDS * sizeof(int))];
    struct cmsghdr align;
  } control;
  struct iovec data = {.iov_base = message, .iov_len = HEADER_BYTES};
  struct msghdr received = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  ssize_t length = recvmsg(socket, &received, MSG_CMSG_CLOEXEC | MSG_WAITALL);
  if (length > 0) take_fds(message, &received);
  if (length == 0 || (length < 0 && errno == ECONNRESET)) return false;
  if (length < 0) return failed("receive a vhost-user message");
  if (length != HEADER_BYTES || (message->flags & VERSION_MASK) != VERSION || message->size > sizeof message->body)
    return refused("a vhost-user message is malformed");
  return true;
}

bool receive_message(int socket, struct message *message) {
  memset(message, 0, sizeof *message);
  if (!receive_header(socket, message)) return false;
  if (message->size == 0) return true;
  ssize_t length = recv(socket, &message->body, message->size, MSG_WAITALL);
  if (length == (ssize_t)message->size) return true;
  return length < 0 ? failed("receive a vhost-user message") : refused("a vhost-user message is incomplete");
}

bool send_message(int socket, uint32_t type, uint32_t flags, const void *body, uint32_t size, int fd) {
  uint32_t header[] = {type, flags | VERSION, size};
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control = {0};
  struct iovec data[] = {{.iov_base = header, .iov_len = sizeof header}, {.iov_base = (void *)(uintptr_t)body, .iov_len = size}};
  struct msghdr message = {.msg_iov = data, .msg_iovlen = 2};
  if (fd >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  }
  if (sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)(sizeof header + size)) return true;
  if (errno == EPIPE || errno == ECONNRESET) return false;
  return failed("send a vhost-user message");
}
