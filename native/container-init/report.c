#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "container-init.h"

void report(enum report type, const uint32_t *words, size_t count, const char *text) {
  uint8_t message[5 + 4 * sizeof(uint32_t) + MAX_DETAIL];
  size_t text_length = strnlen(text, MAX_DETAIL);
  uint32_t length = (uint32_t)(1 + count * sizeof *words + text_length);
  memcpy(message, &length, sizeof length);
  message[4] = (uint8_t)type;
  memcpy(message + 5, words, count * sizeof *words);
  memcpy(message + 5 + count * sizeof *words, text, text_length);
  /* If nobody listens, nobody is left to tell: the end of the stream is seen where it is read. */
  size_t total = sizeof length + length;
  for (size_t sent = 0; sent < total;) {
    ssize_t step = send(CONTROL_FD, message + sent, total - sent, MSG_NOSIGNAL);
    if (step < 0 && errno == EINTR) continue;
    if (step < 0) return;
    sent += (size_t)step;
  }
}

void report_failure(const struct context *context) {
  uint32_t words[] = {context->index, (uint32_t)errno};
  report(REPORT_FAILED, words, 2, context->detail);
}

int send_packet(struct context *context, enum packet type, int32_t value) {
  struct {
    struct packet_head head;
    char detail[MAX_DETAIL];
  } packet = {.head = {.type = type, .index = context->index, .value = value}};
  size_t length = sizeof packet.head;
  if (type == PACKET_FAILED) {
    memcpy(packet.detail, context->detail, MAX_DETAIL);
    length = sizeof packet;
  }
  /* A system call filter that is loaded by now allows write(2) where it allows anything; without a supervisor there is
   * nothing left to do, so SIGPIPE is right. */
  return write(context->link, &packet, length) < 0 ? -1 : 0;
}

int request_supervised(struct context *context, uint32_t end) {
  if (send_packet(context, PACKET_REQUEST, (int32_t)end) < 0) return -1;
  char byte;
  struct iovec data = {.iov_base = &byte, .iov_len = 1};
  union {
    struct cmsghdr head;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t count;
  do count = recvmsg(context->link, &message, MSG_CMSG_CLOEXEC);
  while (count < 0 && errno == EINTR);
  /* A supervisor that failed has reported it already and kills us. */
  if (count <= 0) _exit(EXIT_FAILURE);
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  if (head != NULL && head->cmsg_type == SCM_RIGHTS) memcpy(&context->tree, CMSG_DATA(head), sizeof(int));
  return 0;
}

_Noreturn void fail(struct context *context) {
  send_packet(context, PACKET_FAILED, errno);
  _exit(EXIT_FAILURE);
}
