/* The process that stays outside: it carries out what takes the guest's root, reports, and waits for the end. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "container-init.h"

enum { MESSAGE_CONTINUE = 2 };

struct supervisor {
  struct context *context;
  int pidfd;
  bool waiting;   /* the container's process waits at a barrier */
  bool executing; /* it is about to execve; the link's end means that it did */
};

/* Kills the container's process and ends; a pid namespace goes with its first process. */
static _Noreturn void give_up(struct supervisor *self) {
  pidfd_send_signal(self->pidfd, SIGKILL, NULL, 0);
  waitpid(self->context->target, NULL, 0);
  _exit(EXIT_FAILURE);
}

static bool receive_control(void *bytes, size_t length) {
  ssize_t count;
  do count = recv(CONTROL_FD, bytes, length, MSG_WAITALL);
  while (count < 0 && errno == EINTR);
  return count >= 0 && (size_t)count == length;
}

/* The agent lets the process go on, or has gone itself. */
static void handle_control(struct supervisor *self) {
  static uint8_t state[MAX_STATE + 1];
  uint8_t head[5];
  uint32_t length;
  if (!receive_control(head, sizeof head)) give_up(self);
  memcpy(&length, head, sizeof length);
  if (head[4] != MESSAGE_CONTINUE || length < 1 || length > MAX_STATE + 1 || !self->waiting) give_up(self);
  /* An empty packet would read like the link's end. */
  state[0] = 0;
  if (length > 1 && !receive_control(state + 1, length - 1)) give_up(self);
  self->waiting = false;
  if (send(self->context->link, state, length, MSG_NOSIGNAL) < 0 && errno != EPIPE) give_up(self);
}

/* Hands over the mount that a supervised step opened, if any; the byte says that all steps went well. */
static int reply(struct context *context) {
  char byte = 0;
  struct iovec data = {.iov_base = &byte, .iov_len = 1};
  union {
    struct cmsghdr head;
    char space[CMSG_SPACE(sizeof(int))];
  } control = {0};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
  if (context->tree >= 0) {
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &context->tree, sizeof(int));
  }
  int result = sendmsg(context->link, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
  if (context->tree >= 0) close(context->tree);
  context->tree = -1;
  return result;
}

static void carry_out_request(struct supervisor *self, uint32_t start, uint32_t end) {
  struct context *context = self->context;
  context->index = start;
  if (end > context->plan.count) end = context->plan.count;
  if (carry_out(context, end) < 0) {
    report_failure(context);
    give_up(self);
  }
  /* A process that has been killed in the meantime is dealt with where its end is seen. */
  if (reply(context) < 0 && errno != EPIPE && errno != ECONNRESET) give_up(self);
}

/* The process has made its successor, which is our child as well, and ends. */
static void adopt(struct supervisor *self, pid_t pid) {
  waitpid(self->context->target, NULL, 0);
  close(self->pidfd);
  self->context->target = pid;
  self->pidfd = pidfd_open(pid, 0);
  if (self->pidfd < 0) {
    report_failure(self->context);
    _exit(EXIT_FAILURE);
  }
  if (send(self->context->link, "", 1, MSG_NOSIGNAL) < 0) give_up(self);
}

/* Our copies of stdio would keep the readers of its output waiting when the container has long closed its own. */
static void let_go_of_stdio(void) {
  for (int fd = 0; fd < CONTROL_FD; fd++) close(fd);
  close(TERMINAL_FD);
}

static void handle_link(struct supervisor *self) {
  struct {
    struct packet_head head;
    char detail[MAX_DETAIL];
  } packet;
  struct context *context = self->context;
  ssize_t count = recv(context->link, &packet, sizeof packet, 0);
  if (count < 0 && errno == EINTR) return;
  if (count < (ssize_t)sizeof packet.head) {
    close(context->link);
    context->link = -1;
    if (count == 0 && self->executing) report(REPORT_STARTED, (uint32_t[]){(uint32_t)context->target}, 1, "");
    return;
  }
  switch (packet.head.type) {
    case PACKET_REQUEST:
      carry_out_request(self, packet.head.index, (uint32_t)packet.head.value);
      break;
    case PACKET_FORKED:
      adopt(self, packet.head.value);
      break;
    case PACKET_REACHED:
      self->waiting = true;
      report(REPORT_REACHED, (uint32_t[]){packet.head.index, (uint32_t)context->target}, 2, "");
      break;
    case PACKET_EXECUTING:
      self->executing = true;
      let_go_of_stdio();
      break;
    case PACKET_FAILED:
      context->index = packet.head.index;
      memcpy(context->detail, packet.detail, MAX_DETAIL);
      context->detail[MAX_DETAIL - 1] = '\0';
      errno = packet.head.value;
      report_failure(context);
      give_up(self);
    default:
      give_up(self);
  }
}

/* The process stays a zombie until the agent knows of its end: till then nobody else can get its pid, and a signal or an
 * exec that the agent has under way cannot meet another process. */
static _Noreturn void report_end(struct supervisor *self) {
  siginfo_t info = {0};
  waitid(P_PIDFD, (id_t)self->pidfd, &info, WEXITED | WNOWAIT);
  uint32_t status = (uint32_t)info.si_status;
  report(REPORT_EXITED, (uint32_t[]){info.si_code == CLD_EXITED ? status << 8 : status & 0x7f}, 1, "");
  char rest[256];
  ssize_t count;
  do count = recv(CONTROL_FD, rest, sizeof rest, 0);
  while (count > 0 || (count < 0 && errno == EINTR));
  waitpid(self->context->target, NULL, 0);
  _exit(EXIT_SUCCESS);
}

_Noreturn void supervise(struct context *context, int pidfd) {
  struct supervisor self = {.context = context, .pidfd = pidfd};
  for (;;) {
    struct pollfd events[] = {
        {.fd = context->link, .events = POLLIN},
        {.fd = self.pidfd, .events = POLLIN},
        {.fd = CONTROL_FD, .events = POLLIN},
    };
    if (poll(events, 3, -1) < 0) {
      if (errno == EINTR) continue;
      give_up(&self);
    }
    /* The link first: what a process said and its start come before its end. */
    if (events[0].revents != 0) handle_link(&self);
    else if (events[1].revents != 0) report_end(&self);
    else handle_control(&self);
  }
}
