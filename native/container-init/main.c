/* Waits for a plan and carries it out. Until the plan comes, it has done nothing that the container could notice. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container-init.h"

enum { MESSAGE_PLAN = 1 };

/* Whether all of it came: the end of the stream means that nobody wants a container any more. */
static bool read_all(uint8_t *bytes, size_t length) {
  while (length > 0) {
    ssize_t count = recv(CONTROL_FD, bytes, length, MSG_WAITALL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes += count;
    length -= (size_t)count;
  }
  return true;
}

int main(void) {
  struct context context = {.link = -1, .tree = -1, .root = -1, .process = -1};
  for (int slot = 0; slot < NAMESPACE_SLOTS; slot++) context.namespaces[slot] = -1;

  /* A descriptor of ours must not take the place of one that is missing. */
  for (int fd = 0; fd <= TERMINAL_FD; fd++) {
    if (fcntl(fd, F_GETFD) < 0) return EXIT_FAILURE;
  }
  /* Nothing that we hold but stdio may reach the container's program. */
  if (close_range(CONTROL_FD, ~0U, CLOSE_RANGE_CLOEXEC) < 0) return EXIT_FAILURE;
  /* A process of the container whose namespaces we join could trace us and take our descriptors (CVE-2016-9962). */
  if (prctl(PR_SET_DUMPABLE, 0) < 0) return EXIT_FAILURE;
  /* Modes in the plan are meant as they are. */
  umask(0);

  uint8_t head[5];
  if (!read_all(head, sizeof head)) return EXIT_SUCCESS;
  struct arguments length_field = {.at = head, .end = head + 4};
  size_t length = take_u32(&length_field);
  if (head[4] != MESSAGE_PLAN || length < 1 || length > MAX_PLAN) return EXIT_FAILURE;
  uint8_t *bytes = malloc(length);
  if (bytes == NULL) return EXIT_FAILURE;
  if (!read_all(bytes, length - 1)) return EXIT_SUCCESS;

  if (parse_plan(&context.plan, bytes, length - 1) < 0) {
    context.index = UINT32_MAX;
    report_failure(&context);
    return EXIT_FAILURE;
  }
  /* The supervisor leaves this call only when a step before its fork fails, the container's process when any does. */
  if (carry_out(&context, context.plan.count) == 0) errno = EBADMSG;
  if (context.forked) fail(&context);
  report_failure(&context);
  return EXIT_FAILURE;
}
