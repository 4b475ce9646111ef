#include "vhost-proxy.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A memfd that virtiofsd can write but not shrink, which would end QEMU by a signal. */
static int make_shared(uint8_t **shared) {
  int fd = memfd_create("vhost-proxy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd >= 0 && ftruncate(fd, SHARED_BYTES) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
    void *mapped = mmap(NULL, SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    /* The call is no copy's, and is made directly, because the fork server's library passes over what QEMU keeps from children. */
    if (mapped != MAP_FAILED && syscall(SYS_madvise, mapped, (size_t)SHARED_BYTES, MADV_DONTFORK) == 0) {
      *shared = mapped;
      return fd;
    }
    if (mapped != MAP_FAILED) munmap(mapped, SHARED_BYTES);
  }
  failed("make the memory for virtiofsd");
  close_fd(&fd);
  return -1;
}

static bool tell(const struct device *device, enum message_type type, const void *body, uint32_t size) {
  return send_message(device->server, type, 0, body, size, -1);
}

static bool tell_number(const struct device *device, enum message_type type, uint64_t number, int fd) {
  return send_message(device->server, type, 0, &number, sizeof number, fd);
}

static bool ask(const struct device *device, enum message_type type, uint64_t *answer) {
  struct message message;
  if (!tell(device, type, NULL, 0)) return false;
  bool good = receive_message(device->server, &message);
  close_fds(&message);
  if (!good) return false;
  if (message.type != type || message.size != sizeof message.body.number)
    return refused("virtiofsd answers message %d with message %u of %u bytes", type, message.type, message.size);
  *answer = message.body.number;
  return true;
}

/* Addresses are offsets in the shared memory, for both of vhost-user's kinds. */
static bool share_memory(struct device *device) {
  struct memory_table table = {.count = 1, .regions = {{.size = SHARED_BYTES}}};
  int fd = make_shared(&device->shared);
  if (fd < 0) return false;
  bool good = send_message(device->server, SET_MEM_TABLE, 0, &table,
                           offsetof(struct memory_table, regions) + sizeof table.regions[0], fd);
  close(fd);
  return good;
}

static bool set_up_ring(struct device *device, uint32_t index, bool must_enable) {
  struct queue *queue = &device->queues[index];
  uint64_t at = (uint64_t)index * SERVER_RING_BYTES;
  queue->server.bytes = device->shared + at;
  struct ring_state size = {.index = index, .number = RING_SIZE}, base = {.index = index}, enable = {index, 1};
  struct ring_addresses addresses = {
      .index = index, .descriptors = at + DESCRIPTORS_AT, .available = at + AVAILABLE_AT, .used = at + USED_AT};
  queue->server_kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  queue->server_call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (queue->server_kick < 0 || queue->server_call < 0) return failed("make an event descriptor");
  return tell(device, SET_VRING_NUM, &size, sizeof size) && tell(device, SET_VRING_BASE, &base, sizeof base) &&
         tell(device, SET_VRING_ADDR, &addresses, sizeof addresses) &&
         tell_number(device, SET_VRING_CALL, index, queue->server_call) &&
         tell_number(device, SET_VRING_KICK, index, queue->server_kick) &&
         (!must_enable || tell(device, SET_VRING_ENABLE, &enable, sizeof enable));
}

static bool agree_features(const struct device *device, bool *has_protocol_features) {
  uint64_t features, protocol_features;
  if (!ask(device, GET_FEATURES, &features)) return false;
  if ((features & FEATURE_VERSION_1) == 0) return refused("virtiofsd does not offer virtio 1 (features %#jx)", (uintmax_t)features);
  *has_protocol_features = (features & FEATURE_PROTOCOL_FEATURES) != 0;
  if (*has_protocol_features &&
      (!ask(device, GET_PROTOCOL_FEATURES, &protocol_features) || !tell_number(device, SET_PROTOCOL_FEATURES, 0, -1)))
    return false;
  return tell(device, SET_OWNER, NULL, 0) &&
         tell_number(device, SET_FEATURES, FEATURE_VERSION_1 | (features & FEATURE_PROTOCOL_FEATURES), -1);
}

/*
 * Virtiofsd answers in order: with this answer it has heard of the rings. A kick that comes sooner may be lost: the one in Rust (before
 * vhost-user-backend 0.22) clears that of a ring which is not enabled yet, and the guest, whose request it was, waits for ever.
 */
static bool await_rings(const struct device *device) {
  uint64_t features;
  return ask(device, GET_FEATURES, &features);
}

bool greet_server(struct device *device) {
  bool has_protocol_features = false;
  if (!agree_features(device, &has_protocol_features) || !share_memory(device)) return false;
  for (uint32_t index = 0; index < QUEUES; index++)
    if (!set_up_ring(device, index, has_protocol_features)) return false;
  return await_rings(device);
}
