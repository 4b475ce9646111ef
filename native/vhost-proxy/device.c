#include "vhost-proxy.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* A device without requests for so long gives memory back; while a ring is stopped it is looked at as often. */
enum { MESSAGE_LIMIT_S = 5, QUIET_MS = 1000 };
enum { LOOK_US = 50 };
/*
 * On the hiprio queue the guest says what it has forgotten (FUSE_FORGET), a request for each file, and nobody waits for the answers. So
 * they are carried together, this long after the last ones, and cost neither the guest nor virtiofsd a wake-up each.
 */
enum { REST_US = 5000 };

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

static bool rests(const struct device *device, int index) {
  return index == HIPRIO && device->stopping != HIPRIO && now_us() < device->rests_until_us;
}

static bool carry_queue(struct device *device, struct queue *queue, bool *has_more) {
  bool more = false;
  if (queue->is_started && !carry_to_guest(queue, &device->memory, device->shared)) return false;
  if (is_running(queue) && !carry_to_server(queue, &device->memory, device->shared, &more)) return false;
  *has_more |= more;
  return true;
}

static bool carry(struct device *device, bool *has_more) {
  *has_more = false;
  for (int index = 0; index < QUEUES; index++) {
    struct queue *queue = &device->queues[index];
    uint32_t before = queue->carried;
    if (rests(device, index)) continue;
    if (!carry_queue(device, queue, has_more)) return false;
    if (index == HIPRIO) device->rests_until_us = queue->carried == before ? 0 : now_us() + REST_US;
  }
  return finish_stopping(device);
}

/*
 * To wake up a thread takes longer than most requests do, so while some are in flight this looks for a moment before it
 * waits, and lets others run meanwhile. False when nothing has come.
 */
static bool look_for_work(const struct device *device) {
  const struct queue *hiprio = &device->queues[HIPRIO], *requests = &device->queues[NORMAL];
  if (in_flight(requests) == 0) return false;
  for (int64_t limit = now_us() + LOOK_US; now_us() < limit; sched_yield())
    if (has_work(requests) || (!rests(device, HIPRIO) && has_work(hiprio))) return true;
  return false;
}

/* Nothing to do means none in flight: a page that virtiofsd still writes would come back, and stay. */
static bool has_spare_memory(const struct device *device) {
  bool has_spare = false;
  for (int index = 0; index < QUEUES; index++) {
    if (in_flight(&device->queues[index]) > 0) return false;
    has_spare |= has_spare_pages(&device->queues[index].arena);
  }
  return has_spare;
}

static bool release_spare_memory(struct device *device) {
  for (int index = 0; index < QUEUES; index++)
    if (!release_spare_pages(&device->queues[index].arena, device->shared)) return false;
  return true;
}

enum { CONTROL, QEMU, SERVER, KICKS, CALLS = KICKS + QUEUES, WATCHED = CALLS + QUEUES };

/* How long poll(2) waits. */
static int quiet_limit(const struct device *device, bool has_more) {
  if (has_more) return 0;
  if (rests(device, HIPRIO)) return (int)((device->rests_until_us - now_us()) / 1000) + 1;
  return device->stopping >= 0 || has_spare_memory(device) ? QUIET_MS : silence_limit_ms(device);
}

static bool wait_for_events(struct device *device, int control, bool has_more, struct pollfd watched[WATCHED]) {
  watched[CONTROL] = (struct pollfd){.fd = control, .events = POLLIN};
  watched[QEMU] = (struct pollfd){.fd = device->stopping < 0 ? device->qemu : -1, .events = POLLIN};
  watched[SERVER] = (struct pollfd){.fd = device->server, .events = POLLIN};
  for (int index = 0; index < QUEUES; index++) {
    const struct queue *queue = &device->queues[index];
    bool is_resting = rests(device, index);
    watched[KICKS + index] = (struct pollfd){.fd = is_running(queue) && !is_resting ? queue->kick : -1, .events = POLLIN};
    watched[CALLS + index] = (struct pollfd){.fd = is_resting ? -1 : queue->server_call, .events = POLLIN};
  }
  int limit_ms = quiet_limit(device, has_more);
  int ready = poll(watched, WATCHED, limit_ms);
  if (ready == 0 && limit_ms == QUIET_MS && has_spare_memory(device)) return release_spare_memory(device);
  return ready >= 0 || errno == EINTR || failed("wait for requests");
}

bool serve_device(struct device *device, int control, short *control_events) {
  struct pollfd watched[WATCHED];
  bool has_more;
  do {
    if (!carry(device, &has_more)) return false;
    has_more = has_more || look_for_work(device);
    watch_silence(device, control);
    if (!wait_for_events(device, control, has_more, watched)) return false;
    for (int each = KICKS; each < WATCHED; each++)
      if (watched[each].revents != 0) clear_event(watched[each].fd);
    if (watched[SERVER].revents != 0) return hear_server(device);
    if (watched[QEMU].revents != 0 && !answer_qemu(device)) return false;
    *control_events = watched[CONTROL].revents;
  } while (*control_events == 0);
  return true;
}
