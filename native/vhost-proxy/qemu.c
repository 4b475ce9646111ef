#include "vhost-proxy.h"

#include <fcntl.h>

enum { REPLY = 4, NO_FD = 0x100, QUEUE_MASK = 0xff };
enum { STOP_LIMIT_S = 30 };

static bool reply(const struct device *device, const struct message *to, const void *body, uint32_t size) {
  return send_message(device->qemu, to->type, REPLY, body, size, -1);
}

static struct queue *queue_of(struct device *device, const struct message *message, uint64_t index) {
  if (index < QUEUES) return &device->queues[index];
  refused("QEMU's vhost-user message %u is about queue %ju of %d", message->type, (uintmax_t)index, QUEUES);
  return NULL;
}

/* A ring in RAM that has gone, or that has another place now, is not touched again. */
static bool set_memory(struct device *device, const struct message *message) {
  const struct memory_table *table = &message->body.table;
  device->memory.count = 0;
  if (table->count > REGIONS) return refused("QEMU's memory table has %u regions: at most %d are carried", table->count, REGIONS);
  for (uint32_t each = 0; each < table->count; each++)
    if (!add_region(&device->memory, table->regions[each].guest_address, table->regions[each].size,
                    table->regions[each].user_address))
      return false;
  for (int index = 0; index < QUEUES; index++)
    if (device->queues[index].is_started && !find_ring(&device->queues[index].ring, &device->memory)) return false;
  return true;
}

static bool set_ring(struct device *device, const struct message *message) {
  struct queue *queue = queue_of(device, message, message->body.state.index);
  if (queue == NULL) return false;
  if (queue->is_started) return refused("QEMU changes a ring that is at work");
  if (message->type == SET_VRING_NUM) {
    queue->ring.size = message->body.state.number;
  } else if (message->type == SET_VRING_BASE) {
    queue->ring.next_available = queue->ring.next_used = (uint16_t)message->body.state.number;
  } else {
    queue->ring.descriptor_address = message->body.addresses.descriptors;
    queue->ring.available_address = message->body.addresses.available;
    queue->ring.used_address = message->body.addresses.used;
  }
  return true;
}

static bool start_ring(struct device *device, struct queue *queue) {
  if (queue->is_started) return true;
  if (!find_ring(&queue->ring, &device->memory)) return false;
  queue->is_started = true;
  if ((device->features & FEATURE_PROTOCOL_FEATURES) == 0) queue->is_enabled = true;
  return true;
}

static bool set_event(struct device *device, struct message *message) {
  struct queue *queue = queue_of(device, message, message->body.number & QUEUE_MASK);
  bool has_fd = (message->body.number & NO_FD) == 0;
  if (queue == NULL) return false;
  if (has_fd != (message->fd_count == 1) || (message->type == SET_VRING_KICK && !has_fd))
    return refused("QEMU's vhost-user message %u comes with %d descriptors", message->type, message->fd_count);
  if (message->type == SET_VRING_ERR) return true;
  int *event = message->type == SET_VRING_KICK ? &queue->kick : &queue->call;
  close_fd(event);
  if (!has_fd) return true;
  *event = message->fds[0];
  message->fd_count = 0;
  if (fcntl(*event, F_SETFL, O_NONBLOCK) < 0) return failed("set up an event descriptor");
  return message->type == SET_VRING_CALL || start_ring(device, queue);
}

static bool enable_ring(struct device *device, const struct message *message) {
  struct queue *queue = queue_of(device, message, message->body.state.index);
  if (queue == NULL) return false;
  queue->is_enabled = message->body.state.number != 0;
  return true;
}

/* QEMU waits for the answer, which comes when virtiofsd has done what it has. */
static bool begin_stopping(struct device *device, const struct message *message) {
  struct queue *queue = queue_of(device, message, message->body.state.index);
  if (queue == NULL) return false;
  if (device->stopping >= 0) return refused("QEMU stops two rings at once");
  put_back_waiting(queue);
  queue->is_stopping = true;
  device->stopping = (int)message->body.state.index;
  device->stop_limit_us = now_us() + STOP_LIMIT_S * INT64_C(1000000);
  return finish_stopping(device);
}

bool finish_stopping(struct device *device) {
  if (device->stopping < 0) return true;
  struct queue *queue = &device->queues[device->stopping];
  if (in_flight(queue) > 0) {
    if (now_us() < device->stop_limit_us) return true;
    return refused("virtiofsd has not completed %u requests within %d s", in_flight(queue), STOP_LIMIT_S);
  }
  struct ring_state state = {.index = (uint32_t)device->stopping, .number = queue->ring.next_available};
  queue->is_started = queue->is_stopping = false;
  device->stopping = -1;
  close_fd(&queue->kick);
  return send_message(device->qemu, GET_VRING_BASE, REPLY, &state, sizeof state, -1);
}

static bool answer(struct device *device, struct message *message) {
  uint64_t features = FEATURE_VERSION_1 | FEATURE_RING_INDIRECT_DESC | FEATURE_PROTOCOL_FEATURES, protocol_features = 0;
  switch (message->type) {
    case GET_FEATURES:
      return reply(device, message, &features, sizeof features);
    case SET_FEATURES:
      device->features = message->body.number;
      if ((device->features & ~features) == 0) return true;
      return refused("QEMU wants features %#jx of %#jx", (uintmax_t)device->features, (uintmax_t)features);
    case GET_PROTOCOL_FEATURES:
      return reply(device, message, &protocol_features, sizeof protocol_features);
    case SET_OWNER:
    case RESET_OWNER:
    case SET_PROTOCOL_FEATURES:
      return true;
    case SET_MEM_TABLE:
      return set_memory(device, message);
    case SET_VRING_NUM:
    case SET_VRING_BASE:
    case SET_VRING_ADDR:
      return set_ring(device, message);
    case SET_VRING_KICK:
    case SET_VRING_CALL:
    case SET_VRING_ERR:
      return set_event(device, message);
    case SET_VRING_ENABLE:
      return enable_ring(device, message);
    case GET_VRING_BASE:
      return begin_stopping(device, message);
    default:
      return refused("QEMU sends a vhost-user message %u that was not agreed on", message->type);
  }
}

bool answer_qemu(struct device *device) {
  struct message message;
  bool good = receive_message(device->qemu, &message) && answer(device, &message);
  close_fds(&message);
  return good;
}
