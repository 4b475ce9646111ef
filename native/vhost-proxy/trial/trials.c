#include "trial.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { NEXT = VRING_DESC_F_NEXT, WRITE = VRING_DESC_F_WRITE, INDIRECT = VRING_DESC_F_INDIRECT };
enum { REQUEST_QUEUE = 1, MIB = 1024 * 1024 };

static void begin(enum misdeed misdeed) {
  attach();
  serve_echo(misdeed);
  start_device();
}

static void fill(uint64_t address, uint32_t length, uint32_t seed) {
  for (uint32_t each = 0; each < length; each++) *ram(address + each) = (uint8_t)(seed + each * 7 + each / 251);
}

static bool is_echo(uint64_t from, uint64_t to, uint32_t length) {
  for (uint32_t each = 0; each < length; each++)
    if (*ram(to + each) != (*ram(from + each) ^ 0x5a)) return false;
  return true;
}

/* 40 and 16 bytes to read, 16 and 104 to write: what a FUSE request looks like. */
static void submit_small(uint32_t queue, uint16_t first) {
  struct vring_desc *table = trial_rings[queue].desc;
  uint64_t at = LOW + 0x100000 + first * 0x1000u;
  fill(at, 56, first);
  memset(ram(at + 256), 0, 512);
  set_descriptor(table, first, at, 40, NEXT, first + 1);
  set_descriptor(table, first + 1, at + 40, 16, NEXT, first + 2);
  set_descriptor(table, first + 2, at + 256, 16, NEXT | WRITE, first + 3);
  set_descriptor(table, first + 3, at + 272, 104, WRITE, 0);
  submit(queue, first);
}

static void check_small(uint32_t queue, uint16_t first) {
  uint64_t at = LOW + 0x100000 + first * 0x1000u;
  struct vring_used_elem used = last_used(queue);
  expect(used.id == first && used.len == 56);
  expect(is_echo(at, at + 256, 56) && *ram(at + 256 + 56) == 0);
}

static void carries_small(void) {
  begin(NONE);
  for (int each = 0; each < 3000; each++) {
    uint32_t queue = each % 3 == 0 ? 0 : REQUEST_QUEUE;
    submit_small(queue, (uint16_t)(each % 8 * 4));
    expect(completed(queue, 1));
    check_small(queue, (uint16_t)(each % 8 * 4));
  }
  detach();
  expect(said()[0] == '\0');
}

/* An indirect table of pages, in reverse order, across the border of two regions. */
static void submit_large(uint16_t head, uint32_t pages, uint64_t from, uint64_t to) {
  uint64_t table_at = HIGH - 3 * sizeof(struct vring_desc) + head * 0x8000u;
  for (uint32_t page = 0; page < 2 * pages; page++) {
    bool is_read = page < pages;
    struct vring_desc descriptor = {
        .addr = is_read ? from + (uint64_t)page * PAGE : to + (uint64_t)(page - pages) * PAGE,
        .len = PAGE,
        .flags = (uint16_t)((is_read ? 0 : WRITE) | (page + 1 < 2 * pages ? NEXT : 0)),
        .next = (uint16_t)(page + 1)};
    for (size_t byte = 0; byte < sizeof descriptor; byte++)
      *ram(table_at + page * sizeof descriptor + byte) = ((uint8_t *)&descriptor)[byte];
  }
  set_descriptor(trial_rings[REQUEST_QUEUE].desc, head, table_at, 2 * pages * sizeof(struct vring_desc), INDIRECT, 0);
  submit(REQUEST_QUEUE, head);
}

static void carries_large(void) {
  begin(NONE);
  for (uint32_t pages = 1; pages <= 512; pages = pages * 3 + 1) {
    fill(FAR, pages * PAGE, pages);
    submit_large(0, pages, FAR, HIGH - PAGE / 2 - 4 * MIB);
    expect(completed(REQUEST_QUEUE, 1));
    expect(last_used(REQUEST_QUEUE).len == pages * PAGE && is_echo(FAR, HIGH - PAGE / 2 - 4 * MIB, pages * PAGE));
    expect(last_descriptors() <= PARTS);
  }
  fill(HIGH - MIB - 100, 2 * MIB, 3);
  submit_large(0, 500, HIGH - MIB - 100, FAR + 77);
  expect(completed(REQUEST_QUEUE, 1) && is_echo(HIGH - MIB - 100, FAR + 77, 500 * PAGE));
  detach();
  expect(said()[0] == '\0');
}

/* 60 of them take 120 MiB. */
static void waits_for_memory(enum misdeed misdeed) {
  begin(misdeed);
  fill(FAR, 256 * PAGE, 9);
  for (uint16_t each = 0; each < 60; each++) submit_large(each, 256, FAR, FAR + 8 * MIB);
  submit_small(0, 0);
  usleep(50 * 1000);
  release();
  expect(completed(0, 1));
  check_small(0, 0);
  expect(completed(REQUEST_QUEUE, 60));
  expect(is_echo(FAR, FAR + 8 * MIB, 256 * PAGE));
  detach();
  expect(said()[0] == '\0');
}
static void waits_in_order(void) { waits_for_memory(HOLD); }
static void waits_out_of_order(void) { waits_for_memory(REVERSED); }

static void outlives_scribbles(void) {
  begin(SCRIBBLE);
  for (int each = 0; each < 500; each++) {
    submit_small(REQUEST_QUEUE, 0);
    expect(completed(REQUEST_QUEUE, 1));
    check_small(REQUEST_QUEUE, 0);
  }
  detach();
}

static void ends_with(const char *sentence) {
  const char *reason = said();
  if (strstr(reason, sentence) == NULL) fprintf(stderr, "says: %s\n", reason);
  expect(strstr(reason, sentence) != NULL);
  expect(hangs_up(qemu) && hangs_up(server));
  detach();
}

static void refuses_broken_rings(void) {
  static const struct {
    const char *sentence;
    struct vring_desc descriptors[3];
    uint16_t head;
  } CASES[] = {
      {"are not RAM", {{0x10, 40, 0, 0}}, 0},
      {"are not RAM", {{LOW + 3 * REGION_BYTES, 40, 0, 0}}, 0},
      {"are not RAM", {{HIGH + REGION_BYTES - 39, 40, 0, 0}}, 0},
      {"are not RAM", {{FAR + REGION_BYTES - 39, 40, 0, 0}}, 0},
      {"are not RAM", {{UINT64_MAX - 20, 40, 0, 0}}, 0},
      {"are not RAM", {{LOW, 40, NEXT, 1}, {UINT64_MAX, 40, WRITE, 0}}, 0},
      {"are not RAM", {{LOW, UINT32_MAX, 0, 0}}, 0},
      {"there is no descriptor 64 in a table of 64", {{LOW, 40, 0, 0}}, 64},
      {"there is no descriptor 65535", {{LOW, 40, NEXT, 65535}}, 0},
      {"has more than 1024", {{LOW, 40, NEXT, 0}}, 0},
      {"has more than 1024", {{LOW, 0, NEXT, 1}, {LOW, 0, NEXT, 0}}, 0},
      {"more than 16777216 bytes", {{LOW, 40, NEXT, 1}, {LOW, 16 * MIB, NEXT, 1}}, 0},
      {"takes 4608 pages", {{LOW, 2 * MIB, NEXT, 1}, {LOW, 16 * MIB, WRITE, 0}}, 0},
      {"readable segment after a writable one", {{LOW, 40, NEXT, 1}, {LOW, 40, NEXT | WRITE, 2}, {LOW, 40, 0, 0}}, 0},
      {"nothing to read", {{LOW, 40, WRITE, 0}}, 0},
      {"nothing to read", {{LOW, 0, 0, 0}}, 0},
      {"is in an indirect table, or has a next one", {{LOW, 32, NEXT | INDIRECT, 1}}, 0},
      {"an indirect table has 0 bytes", {{LOW, 0, INDIRECT, 0}}, 0},
      {"an indirect table has 24 bytes", {{LOW, 24, INDIRECT, 0}}, 0},
      {"an indirect table has 16400 bytes", {{LOW, 16400, INDIRECT, 0}}, 0},
      {"are not RAM", {{0x10, 16, INDIRECT, 0}}, 0},
      {"are not RAM", {{UINT64_MAX - 15, 32, INDIRECT, 0}}, 0},
      {"is in an indirect table", {{FAR, 16, INDIRECT, 0}}, 0},
  };
  struct vring_desc nested = {FAR, 16, INDIRECT, 0};
  for (size_t each = 0; each < sizeof CASES / sizeof *CASES; each++) {
    begin(NONE);
    memcpy(ram(FAR), &nested, sizeof nested);
    memcpy(trial_rings[REQUEST_QUEUE].desc, CASES[each].descriptors, sizeof CASES[each].descriptors);
    submit(REQUEST_QUEUE, CASES[each].head);
    ends_with(CASES[each].sentence);
  }
  begin(NONE);
  trial_rings[0].avail->idx = GUEST_RING + 1;
  kick(0);
  ends_with("65 requests are ready in 64 entries");
}

static void refuses_hostile_server(void) {
  static const struct {
    enum misdeed misdeed;
    const char *sentence;
  } CASES[] = {
      {WRONG_ID, "completed a request 3 that it does not have"},
      {FREE_ID, "completed request 1, which it does not have"},
      {TOO_LONG, "written 121 bytes where the guest takes 120"},
      {TWICE, "virtiofsd has completed"},
      {MANY, "virtiofsd has completed 300 requests of 1"},
  };
  for (size_t each = 0; each < sizeof CASES / sizeof *CASES; each++) {
    begin(CASES[each].misdeed);
    submit_small(REQUEST_QUEUE, 0);
    ends_with(CASES[each].sentence);
  }
  attach();
  serve_echo(CHATTER);
  ends_with("virtiofsd sends a vhost-user message that was not agreed on");
}

static void stops_and_goes_on(void) {
  begin(HOLD);
  for (uint16_t each = 0; each < 5; each++) submit_small(REQUEST_QUEUE, (uint16_t)(each * 4));
  usleep(20 * 1000);
  begin_stop(REQUEST_QUEUE);
  submit_small(REQUEST_QUEUE, 20);
  usleep(20 * 1000);
  release();
  expect(end_stop(REQUEST_QUEUE) == 5);
  expect(completed(REQUEST_QUEUE, 5));
  begin_stop(0);
  expect(end_stop(0) == 0);
  start_queue(REQUEST_QUEUE, 5);
  start_queue(0, 0);
  expect(completed(REQUEST_QUEUE, 1));
  check_small(REQUEST_QUEUE, 20);
  detach();
  expect(said()[0] == '\0');
}

/* One request has been read from the ring then, and waits for memory. */
static void stops_when_full(void) {
  begin(HOLD);
  fill(FAR, 256 * PAGE, 5);
  for (uint16_t each = 0; each < 30; each++) submit_large(each, 256, FAR, FAR + 8 * MIB);
  usleep(20 * 1000);
  begin_stop(REQUEST_QUEUE);
  usleep(20 * 1000);
  release();
  uint16_t base = end_stop(REQUEST_QUEUE);
  expect(base > 0 && base < 30 && completed(REQUEST_QUEUE, base) && trial_rings[REQUEST_QUEUE].used->idx == base);
  start_queue(REQUEST_QUEUE, base);
  expect(completed(REQUEST_QUEUE, (uint16_t)(30 - base)) && is_echo(FAR, FAR + 8 * MIB, 256 * PAGE));
  detach();
  expect(said()[0] == '\0');
}

/* The kernel's count of what the memfd, which is mapped here twice, has of pages. */
static long shared_kib(void) {
  char line[256];
  long kib = 0, sum = 0;
  bool is_ours = false;
  FILE *maps = fopen("/proc/self/smaps", "r");
  expect(maps != NULL);
  while (fgets(line, sizeof line, maps) != NULL) {
    if (strchr(line, '-') != NULL) is_ours = strstr(line, "/memfd:vhost-proxy") != NULL;
    if (is_ours && sscanf(line, "Pss: %ld", &kib) == 1) sum += kib;
  }
  fclose(maps);
  return sum;
}

static void gives_memory_back(void) {
  begin(HOLD);
  for (uint16_t each = 0; each < 8; each++) submit_large(each, 128, FAR, FAR + 8 * MIB);
  usleep(100 * 1000);
  expect(shared_kib() > 8 * 512);
  usleep(1200 * 1000);
  expect(shared_kib() > 8 * 512);
  release();
  expect(completed(REQUEST_QUEUE, 8));
  usleep(1200 * 1000);
  expect(shared_kib() < 1024);
  submit_large(0, 256, FAR, FAR + 8 * MIB);
  expect(completed(REQUEST_QUEUE, 1));
  expect(is_echo(FAR, FAR + 8 * MIB, 256 * PAGE));
  detach();
  expect(said()[0] == '\0');
}

static void hangs_up_both_ways(void) {
  for (int each = 0; each < 3; each++) {
    begin(NONE);
    detach();
    begin(NONE);
    int ours = server;
    shutdown(ours, SHUT_RDWR);
    expect(hangs_up(qemu));
    detach();
  }
  expect(said()[0] == '\0');
}

static void refuses_second_device(void) {
  begin(NONE);
  int first = qemu, first_server = server;
  attach();
  expect(hangs_up(qemu) && hangs_up(server));
  expect(strstr(said(), "a device is attached already") != NULL);
  close(qemu);
  close(server);
  qemu = first;
  server = first_server;
  submit_small(REQUEST_QUEUE, 0);
  expect(completed(REQUEST_QUEUE, 1));
  detach();
  expect(send(control, "x", 1, 0) == 1);
  expect(strstr(said(), "takes two sockets") != NULL);
  expect(said()[0] == '\0');
}

static double processor_time(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Without a device, with one, and without anybody at the control socket's other end. */
static void costs_nothing_idle(void) {
  double before = processor_time();
  usleep(200 * 1000);
  expect(processor_time() - before < 0.01);
  begin(NONE);
  submit_small(REQUEST_QUEUE, 0);
  expect(completed(REQUEST_QUEUE, 1));
  usleep(20 * 1000);
  before = processor_time();
  usleep(200 * 1000);
  expect(processor_time() - before < 0.02);
  close(control);
  before = processor_time();
  usleep(200 * 1000);
  expect(processor_time() - before < 0.02);
  submit_small(REQUEST_QUEUE, 0);
  expect(completed(REQUEST_QUEUE, 1));
  detach();
  before = processor_time();
  usleep(200 * 1000);
  expect(processor_time() - before < 0.02);
}

const struct trial {
  const char *name;
  void (*run)(void);
} trials[] = {
    {"carries small requests on both queues", carries_small},
    {"carries requests of up to 512 pages each way, which virtiofsd gets as five descriptors", carries_large},
    {"waits for completions when its memory is full", waits_in_order},
    {"takes completions in another order", waits_out_of_order},
    {"reads nothing again that virtiofsd can write", outlives_scribbles},
    {"ends the device over a broken ring, with a sentence", refuses_broken_rings},
    {"ends the device over a completion that was not asked for", refuses_hostile_server},
    {"stops a ring when its requests are done, and goes on where it was", stops_and_goes_on},
    {"stops a ring that is full, and takes the rest afterwards", stops_when_full},
    {"gives memory back a second after the last request", gives_memory_back},
    {"hangs up when either side does, and takes the next device", hangs_up_both_ways},
    {"refuses a second device, and a message without sockets", refuses_second_device},
    {"costs no processor time when idle", costs_nothing_idle},
    {0},
};
