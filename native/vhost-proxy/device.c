#include "vhost-proxy.h"

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { MESSAGE_LIMIT_S = 5, LOOK_AGAIN_MS = 1000 };

static bool limit_waits(int socket) {
  struct timeval limit = {.tv_sec = MESSAGE_LIMIT_S};
  return setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
         setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0;
}

/* In pages of its own, most of which are never touched and all of which go with it. */
bool open_device(struct device **opened, int qemu, int server) {
  struct device *device =
      mmap(NULL, sizeof *device, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  *opened = NULL;
  if (device == MAP_FAILED) {
    close(qemu);
    close(server);
    return failed("get memory for a device");
  }
  *opened = device;
  device->qemu = qemu;
  device->server = server;
  device->stopping = -1;
  for (int index = 0; index < QUEUES; index++) begin_queue(&device->queues[index], index);
  if (!limit_waits(qemu) || !limit_waits(server)) return failed("limit the waits for messages");
  return greet_server(device);
}

void close_device(struct device *device) {
  if (device == NULL) return;
  close(device->qemu);
  close(device->server);
  for (int index = 0; index < QUEUES; index++) {
    struct queue *queue = &device->queues[index];
    close_fd(&queue->kick);
    close_fd(&queue->call);
    close_fd(&queue->server_kick);
    close_fd(&queue->server_call);
  }
  if (device->shared != NULL) munmap(device->shared, SHARED_BYTES);
  munmap(device, sizeof *device);
}

static void clear_event(int fd) {
  uint64_t count;
  /* Without an event it says EAGAIN, which is as good. */
  if (read(fd, &count, sizeof count) < 0) return;
}

/* Virtiofsd says nothing after the greeting, so whatever it says ends the device. */
static bool hear_server(const struct device *device) {
  char byte;
  ssize_t length = recv(device->server, &byte, sizeof byte, MSG_DONTWAIT);
  if (length > 0) return refused("virtiofsd sends a vhost-user message that was not agreed on");
  return false;
}

static bool carry(struct device *device, bool *has_more) {
  *has_more = false;
  for (int index = 0; index < QUEUES; index++) {
    struct queue *queue = &device->queues[index];
    bool more = false;
    if (queue->is_started && !carry_to_guest(queue, &device->memory, device->shared)) return false;
    if (is_running(queue) && !carry_to_server(queue, &device->memory, device->shared, &more)) return false;
    *has_more |= more;
  }
  return finish_stopping(device);
}

enum { CONTROL, QEMU, SERVER, KICKS, CALLS = KICKS + QUEUES, WATCHED = CALLS + QUEUES };

bool serve_device(struct device *device, int control, short *control_events) {
  bool has_more;
  *control_events = 0;
  do {
    if (!carry(device, &has_more)) return false;
    struct pollfd watched[WATCHED] = {[CONTROL] = {.fd = control, .events = POLLIN},
                                      [QEMU] = {.fd = device->stopping < 0 ? device->qemu : -1, .events = POLLIN},
                                      [SERVER] = {.fd = device->server, .events = POLLIN}};
    for (int index = 0; index < QUEUES; index++) {
      const struct queue *queue = &device->queues[index];
      watched[KICKS + index] = (struct pollfd){.fd = is_running(queue) ? queue->kick : -1, .events = POLLIN};
      watched[CALLS + index] = (struct pollfd){.fd = queue->server_call, .events = POLLIN};
    }
    int limit = has_more ? 0 : device->stopping < 0 ? -1 : LOOK_AGAIN_MS;
    if (poll(watched, WATCHED, limit) < 0 && errno != EINTR) return failed("wait for requests");
    for (int each = KICKS; each < WATCHED; each++)
      if (watched[each].revents != 0) clear_event(watched[each].fd);
    if (watched[SERVER].revents != 0) return hear_server(device);
    if (watched[QEMU].revents != 0 && !answer_qemu(device)) return false;
    *control_events = watched[CONTROL].revents;
  } while (*control_events == 0);
  return true;
}
