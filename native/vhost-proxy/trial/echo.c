#include "trial.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static pthread_t thread;
static enum misdeed misdeed;
static _Atomic bool is_held;
static _Atomic int descriptor_count;
static uint8_t *shared;
static struct vring rings[QUEUES];
static uint16_t done[QUEUES];
static int kicks[QUEUES], calls[QUEUES];

static void note(struct message *message) {
  uint32_t index = message->body.addresses.index;
  if (message->type == SET_MEM_TABLE) {
    expect(message->fd_count == 1 && message->body.table.count == 1);
    shared = mmap(NULL, SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, message->fds[0], 0);
    expect(shared != MAP_FAILED);
    expect(ftruncate(message->fds[0], 0) < 0);
  } else if (message->type == SET_VRING_ADDR) {
    rings[index].num = RING_SIZE;
    rings[index].desc = (struct vring_desc *)(shared + message->body.addresses.descriptors);
    rings[index].avail = (struct vring_avail *)(shared + message->body.addresses.available);
    rings[index].used = (struct vring_used *)(shared + message->body.addresses.used);
    done[index] = 0;
  } else if (message->type == SET_VRING_KICK || message->type == SET_VRING_CALL) {
    expect(message->fd_count == 1);
    *(message->type == SET_VRING_KICK ? &kicks[index] : &calls[index]) = message->fds[0];
    message->fd_count = 0;
  }
  close_fds(message);
}

/* As virtiofsd's thread for requests: what it hears of a ring that is not enabled yet, it does not hear again. */
static void miss_kicks(void) {
  uint64_t events;
  for (int queue = 0; queue < QUEUES; queue++)
    if (kicks[queue] > 0 && read(kicks[queue], &events, sizeof events) < 0) continue;
}

/* Until the last ring is enabled, and it is asked something after that. */
static void greet(void) {
  struct message message = {0};
  uint64_t features = FEATURE_VERSION_1 | FEATURE_PROTOCOL_FEATURES | FEATURE_RING_INDIRECT_DESC, none = 0;
  bool is_enabled = false;
  while (!is_enabled || message.type != GET_FEATURES) {
    if (misdeed == LATE) usleep(5 * 1000);
    expect(receive_message(server, &message));
    if (misdeed == LATE && message.type == SET_VRING_ENABLE) miss_kicks();
    is_enabled |= message.type == SET_VRING_ENABLE && message.body.state.index == QUEUES - 1;
    note(&message);
    if (message.type == GET_FEATURES) expect(send_message(server, GET_FEATURES, 4, &features, sizeof features, -1));
    if (message.type == GET_PROTOCOL_FEATURES)
      expect(send_message(server, GET_PROTOCOL_FEATURES, 4, &none, sizeof none, -1));
  }
}

static uint32_t echo(const struct vring *ring, uint16_t head) {
  const struct vring_desc *read_at = &ring->desc[head], *write_at = read_at;
  uint32_t readable = 0, written = 0, total = 0, from = 0, to = 0;
  int count = 1;
  for (const struct vring_desc *each = read_at;; each = &ring->desc[each->next], count++) {
    expect(each->addr + each->len <= SHARED_BYTES && each->len > 0);
    if ((each->flags & VRING_DESC_F_WRITE) == 0) {
      readable += each->len;
      expect(total == 0);
      write_at = (each->flags & VRING_DESC_F_NEXT) != 0 ? &ring->desc[each->next] : NULL;
    } else {
      total += each->len;
    }
    if ((each->flags & VRING_DESC_F_NEXT) == 0) break;
  }
  descriptor_count = count;
  for (; written < total && written < readable; written++, from++, to++) {
    while (from == read_at->len) read_at = &ring->desc[read_at->next], from = 0;
    while (to == write_at->len) write_at = &ring->desc[write_at->next], to = 0;
    shared[write_at->addr + to] = shared[read_at->addr + from] ^ 0x5a;
  }
  return misdeed == TOO_LONG ? total + 1 : written;
}

static void complete(uint32_t queue, uint32_t id, uint32_t length) {
  struct vring *ring = &rings[queue];
  uint64_t one = 1;
  ring->used->ring[ring->used->idx % RING_SIZE] = (struct vring_used_elem){.id = id, .len = length};
  __atomic_store_n(&ring->used->idx, (uint16_t)(ring->used->idx + (misdeed == MANY ? 300 : 1)), __ATOMIC_SEQ_CST);
  expect(write(calls[queue], &one, sizeof one) == sizeof one);
}

static void serve_queue(uint32_t queue) {
  struct vring *ring = &rings[queue];
  uint16_t ready = (uint16_t)(__atomic_load_n(&ring->avail->idx, __ATOMIC_ACQUIRE) - done[queue]);
  for (uint16_t each = 0; each < ready; each++) {
    uint16_t index = (uint16_t)(misdeed == REVERSED ? done[queue] + ready - 1 - each : done[queue] + each);
    uint16_t head = ring->avail->ring[index % RING_SIZE];
    uint32_t length = echo(ring, head);
    if (misdeed == SCRIBBLE) {
      memset(ring->desc, 0xff, USED_AT);
      ring->avail->idx = (uint16_t)(done[queue] + ready);
    }
    complete(queue, misdeed == WRONG_ID ? 3u : misdeed == FREE_ID ? 8u : head, length);
    if (misdeed == TWICE) complete(queue, head, length);
  }
  done[queue] = (uint16_t)(done[queue] + ready);
}

static void *serve(void *unused) {
  greet();
  if (misdeed == CHATTER) expect(send_message(server, GET_FEATURES, 4, NULL, 0, -1));
  for (;;) {
    struct pollfd watched[] = {{.fd = server, .events = POLLIN}, {.fd = kicks[0], .events = POLLIN}, {.fd = kicks[1], .events = POLLIN}};
    if (poll(watched, 3, 20) < 0 || watched[0].revents != 0) break;
    for (uint32_t queue = 0; queue < QUEUES; queue++) {
      uint64_t events;
      if (watched[1 + queue].revents != 0) expect(read(kicks[queue], &events, sizeof events) > 0);
      if (!is_held) serve_queue(queue);
    }
  }
  return unused;
}

void serve_echo(enum misdeed what) {
  misdeed = what;
  is_held = what == HOLD || what == REVERSED;
  expect(pthread_create(&thread, NULL, serve, NULL) == 0);
}

void release(void) { is_held = false; }

void end_echo(void) {
  shutdown(server, SHUT_RDWR);
  pthread_join(thread, NULL);
  munmap(shared, SHARED_BYTES);
  for (int queue = 0; queue < QUEUES; queue++) {
    close(kicks[queue]);
    close(calls[queue]);
  }
}

int last_descriptors(void) { return descriptor_count; }
