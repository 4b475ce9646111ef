/*
 * Preloaded into QEMU (ld.so(8), LD_PRELOAD): a vhost-user proxy between its vhost-user-fs device and virtiofsd, which
 * carries each request through memory of its own. README.md says who sends what.
 *
 * Everything that the guest or virtiofsd can write (rings, descriptors, indices, lengths) is read once and checked.
 * A single thread does it all; a function that returns false has left the reason with refused(), or none for a hang-up.
 */
#pragma once

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The queues of a virtio-fs device: hiprio, and one for requests. RING_SIZE is the largest ring, on either side. */
enum { HIPRIO, NORMAL, QUEUES, RING_SIZE = 1024 };
/* Memory regions in a table (VHOST_MEMORY_BASELINE_NREGIONS of the vhost-user protocol). */
enum { REGIONS = 8 };

/* problem.c: why a function returns false. */
bool refused(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool failed(const char *doing);
void forget_problem(void);
/* An empty string when there is none. */
const char *problem(void);

/* guest-memory.c: the guest's RAM, which is mapped here. */
struct region {
  uint64_t guest_address, size;
  uint8_t *bytes;
};
struct guest_memory {
  int count;
  struct region regions[REGIONS];
};
bool add_region(struct guest_memory *memory, uint64_t guest_address, uint64_t size, uint64_t user_address);
bool guest_has(const struct guest_memory *memory, uint64_t address, uint64_t length);
bool guest_read(const struct guest_memory *memory, uint64_t address, void *bytes, size_t length);
bool guest_write(const struct guest_memory *memory, uint64_t address, const void *bytes, size_t length);
/* The memory at an address of QEMU's that QEMU has given, NULL unless `length` bytes of one region are there. */
void *at_user_address(const struct guest_memory *memory, uint64_t address, uint64_t length);

/* What a descriptor of the guest's offers. */
struct segment {
  uint64_t address;
  uint32_t length;
};

/*
 * The descriptors that virtiofsd gets for a request: the first two readable segments and the first writable one as they are
 * (C virtiofsd looks for FUSE's headers there), the rest of each kind as one, because 256 single pages are slow.
 */
enum part { FIRST_READABLE, SECOND_READABLE, FURTHER_READABLE, FIRST_WRITABLE, FURTHER_WRITABLE, PARTS };

struct request {
  /* Virtiofsd has it. */
  bool is_given;
  /* The number under which the guest knows it. */
  uint16_t head;
  /* How many segments; readable ones come first. */
  uint32_t readable, writable;
  uint32_t lengths[PARTS];
  /* Where the parts are in the shared memory, and what of it is the request's. */
  uint32_t offsets[PARTS];
  uint32_t first_page, pages;
  struct segment segments[RING_SIZE];
};
/* request.c: an empty request, and one more segment for it. */
void begin_request(struct request *request, uint16_t head);
bool add_segment(struct request *request, const struct guest_memory *memory, const struct vring_desc *descriptor);
/* The bytes that virtiofsd may write. */
uint32_t offered(const struct request *request);
/* Sets `offsets`, from 0 on; how many bytes that takes. */
uint64_t lay_out(struct request *request);
bool copy_from_guest(const struct request *request, const struct guest_memory *memory, uint8_t *shared);
bool copy_to_guest(const struct request *request, const struct guest_memory *memory, const uint8_t *shared, uint32_t length);

/* guest-ring.c: a ring that the guest fills. */
struct guest_ring {
  uint32_t size;
  /* The values that QEMU has given. */
  uint64_t descriptor_address, available_address, used_address;
  const struct vring_desc *descriptors;
  const struct vring_avail *available;
  struct vring_used *used;
  uint16_t next_available, next_used;
};
bool find_ring(struct guest_ring *ring, const struct guest_memory *memory);
enum taken { NOTHING, TAKEN, BROKEN };
enum taken take_request(struct guest_ring *ring, const struct guest_memory *memory, struct request *request);
bool has_requests(const struct guest_ring *ring);
void give_back(struct guest_ring *ring, uint16_t head, uint32_t length);

/* arena.c: the part of the shared memory that a queue's requests have, in pages. */
enum { PAGE = 4096, ARENA_PAGES = 4096 };
struct arena {
  uint32_t first, pages;
  /* How many from the first on may have been written to. */
  uint32_t touched;
  bool is_taken[ARENA_PAGES];
};
/* The first of that many pages, or a negative number. */
int64_t take_pages(struct arena *arena, uint32_t pages);
void free_pages(struct arena *arena, uint32_t first, uint32_t pages);
/* Gives back to the host what an arena of which nothing is taken has touched, but for what the next requests take. */
bool has_spare_pages(const struct arena *arena);
bool release_spare_pages(struct arena *arena, uint8_t *shared);

/* server-ring.c: a ring in the shared memory, for virtiofsd. Each request has its own descriptors there. */
enum { REQUESTS = 128, REQUEST_DESCRIPTORS = RING_SIZE / REQUESTS };
enum { DESCRIPTORS_AT = 0, AVAILABLE_AT = 0x4000, USED_AT = 0x8000, SERVER_RING_BYTES = 0x10000 };
struct server_ring {
  uint8_t *bytes;
  uint16_t next_available, next_used;
};
void offer(struct server_ring *ring, uint32_t number, const struct request *request);
bool wants_kick(const struct server_ring *ring);
bool has_done(const struct server_ring *ring);
/* The next request that virtiofsd has done: its number, and how many bytes it has written. */
enum taken take_done(struct server_ring *ring, uint32_t in_flight, uint32_t *number, uint32_t *length);

/* cached-files.c: which of its files the guest has in its cache, as far as one slot for several files tells. */
enum { CACHED_FILES = 8192 };
struct file_time {
  uint64_t seconds;
  uint32_t nanoseconds;
};
struct cached_file {
  uint64_t node;
  /* The ctime that the guest was told last, and that it had been told when it opened the file last. */
  struct file_time told, opened;
  /* The file had not changed for a while when it was opened last. */
  bool is_settled;
  /* It has no capabilities as far as the guest need know before this time (now_us()). */
  int64_t is_plain_until_us;
  /* The guest has given it some attribute, so virtiofsd is always asked. */
  bool has_been_given_some;
};
struct cached_files {
  struct cached_file slots[CACHED_FILES];
};
/* A file's slot, which may have been another one's until now. */
struct cached_file *slot_of(struct cached_files *files, uint64_t node);
/* Looks at an answer of virtiofsd's, of `length` bytes, which the guest has not got yet, and may change it. */
void note_cached_files(struct cached_files *files, const struct request *request, uint8_t *shared, uint32_t length);

/*
 * file-capabilities.c: answers the guest when it asks once more whether a file has capabilities: the bytes of the answer, 0 when virtiofsd is to
 * be asked.
 */
uint32_t answer_about_capabilities(const struct cached_files *files, const struct request *request,
                                   const struct guest_memory *memory);
/* Looks at what virtiofsd is to be asked. */
void note_new_capabilities(struct cached_files *files, const struct request *request, const uint8_t *shared);
/* Looks at an answer of virtiofsd's, as note_cached_files() does, after that. */
void note_missing_capabilities(struct cached_files *files, const struct request *request, const uint8_t *shared,
                               uint32_t length);

/* joined-file-systems.c: the same, for where a file system of the host begins that is to be a part of the share's own. */
void join_file_system(const struct request *request, uint8_t *shared, uint32_t length);

/* unflushed-files.c: the same, for what is opened for reading. */
void spare_flush(const struct request *request, uint8_t *shared, uint32_t length);

/* temporary-files.c: changes what virtiofsd is to be asked when the guest asks for a file without a name. */
void name_temporary_file(const struct request *request, uint8_t *shared);

/* queue.c: carries requests from one ring to the other. */
struct queue {
  struct guest_ring ring;
  bool is_started, is_enabled;
  /* QEMU waits for the requests in flight. */
  bool is_stopping;
  /* Event descriptors, or -1: the guest's, then virtiofsd's. */
  int kick, call, server_kick, server_call;
  struct server_ring server;
  struct arena arena;
  struct request requests[REQUESTS];
  /* The numbers of those that are free: the last `unused` ones of the list. */
  uint8_t free[REQUESTS];
  uint32_t unused;
  /* Read from the guest's ring, and waits for memory: its number, or -1. */
  int waiting;
  /* The pages of requests that virtiofsd has not been told of. */
  uint32_t untold;
  /* How many requests and answers have been carried, and of these how many of virtiofsd's answers. */
  uint32_t carried, answers;
  /* The guest has answers in its ring that it has not been told of. */
  bool must_call;
  struct cached_files cached_files;
};
void begin_queue(struct queue *queue, int index);
uint32_t in_flight(const struct queue *queue);
bool is_running(const struct queue *queue);
/* Whether there is something to carry, either way. */
bool has_work(const struct queue *queue);
/* `has_more` when the guest has more than a turn's worth. */
bool carry_to_server(struct queue *queue, const struct guest_memory *memory, uint8_t *shared, bool *has_more);
bool carry_to_guest(struct queue *queue, const struct guest_memory *memory, uint8_t *shared);
void put_back_waiting(struct queue *queue);

/* messages.c: vhost-user's messages. */
enum { MESSAGE_FDS = REGIONS };
enum message_type {
  GET_FEATURES = 1,
  SET_FEATURES = 2,
  SET_OWNER = 3,
  RESET_OWNER = 4,
  SET_MEM_TABLE = 5,
  SET_VRING_NUM = 8,
  SET_VRING_ADDR = 9,
  SET_VRING_BASE = 10,
  GET_VRING_BASE = 11,
  SET_VRING_KICK = 12,
  SET_VRING_CALL = 13,
  SET_VRING_ERR = 14,
  GET_PROTOCOL_FEATURES = 15,
  SET_PROTOCOL_FEATURES = 16,
  SET_VRING_ENABLE = 18,
};
struct ring_state {
  uint32_t index, number;
};
struct ring_addresses {
  uint32_t index, flags;
  uint64_t descriptors, used, available, log;
};
struct memory_table {
  uint32_t count, padding;
  struct {
    uint64_t guest_address, size, user_address, offset;
  } regions[REGIONS];
};
struct message {
  uint32_t type, flags, size;
  union {
    uint64_t number;
    struct ring_state state;
    struct ring_addresses addresses;
    struct memory_table table;
  } body;
  int fds[MESSAGE_FDS];
  int fd_count;
};
/* The rest of the bodies is zero. The descriptors are the caller's to close. */
bool receive_message(int socket, struct message *message);
bool send_message(int socket, uint32_t type, uint32_t flags, const void *body, uint32_t size, int fd);
void close_fds(struct message *message);
/* Sets `*fd` to -1. */
void close_fd(int *fd);

/* The bits of features that both sides know. */
#define FEATURE_RING_INDIRECT_DESC (UINT64_C(1) << 28)
#define FEATURE_PROTOCOL_FEATURES (UINT64_C(1) << 30)
#define FEATURE_VERSION_1 (UINT64_C(1) << 32)

/* A device: what is between QEMU and virtiofsd, their sockets included. */
enum { SHARED_BYTES = ARENA_PAGES * PAGE };
struct device {
  int qemu, server;
  uint64_t features;
  struct guest_memory memory;
  uint8_t *shared;
  struct queue queues[QUEUES];
  /* The hiprio queue is not looked at before this time (now_us()). */
  int64_t rests_until_us;
  /* The queue that QEMU waits for until this time (now_us()), or -1. */
  int stopping;
  int64_t stop_limit_us;
  /* Virtiofsd's answers as they were last, and when it has been silent for too long (now_us()), 0 while it has nothing to answer. */
  uint32_t answers;
  int64_t silent_at_us;
};
/* clock.c: microseconds of CLOCK_MONOTONIC. */
int64_t now_us(void);
/* Takes the sockets over, also when it fails. */
bool open_device(struct device **device, int qemu, int server);
void close_device(struct device *device);
/* Does what there is to do; waits for something unless `control`, which may be -1, has something to say. */
bool serve_device(struct device *device, int control, short *control_events);

/* silence.c: tells the daemon when virtiofsd has not answered for long; how many milliseconds until then, -1 when it has nothing to answer. */
void watch_silence(struct device *device, int control);
int silence_limit_ms(const struct device *device);

/* server.c: the front end, towards virtiofsd. Makes the shared memory and the rings. */
bool greet_server(struct device *device);
/* qemu.c: the back end, towards QEMU: one message of it. */
bool answer_qemu(struct device *device);
bool finish_stopping(struct device *device);
