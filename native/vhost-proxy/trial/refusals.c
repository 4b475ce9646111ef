#include "trial.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

static void tell(uint32_t type, const void *body, uint32_t size, int fd) {
  expect(send_message(qemu, type, 0, body, size, fd));
}

static void tell_size(void) {
  struct ring_state size = {1, 2 * RING_SIZE};
  tell(SET_VRING_NUM, &size, sizeof size, -1);
}
static void tell_odd_size(void) {
  struct ring_state size = {1, 48};
  tell(SET_VRING_NUM, &size, sizeof size, -1);
}
static void tell_addresses(uint64_t descriptors, uint64_t used) {
  struct ring_addresses addresses = {.index = 1, .descriptors = descriptors, .available = descriptors + 1024, .used = used};
  tell(SET_VRING_ADDR, &addresses, sizeof addresses, -1);
}
static void tell_odd_address(void) { tell_addresses((uintptr_t)ram(LOW), (uintptr_t)ram(LOW) + 4098); }
static void tell_outside(void) { tell_addresses((uintptr_t)ram(LOW), (uintptr_t)ram(LOW) + REGION_BYTES - 512); }
static void tell_nowhere(void) { tell_addresses(0, 0); }

/* The queue's ring is set up, but for the kick that starts it. */
static void try_to_start(void (*spoil)(void)) {
  uint64_t queue = 1;
  begin_stop(1);
  expect(end_stop(1) == 0);
  spoil();
  tell(SET_VRING_KICK, &queue, sizeof queue, 0);
}

static void refuses_rings_elsewhere(void) {
  static const struct {
    void (*spoil)(void);
    const char *sentence;
  } CASES[] = {
      {tell_size, "the guest's ring has 2048 entries"}, {tell_odd_size, "the guest's ring has 48 entries"},
      {tell_odd_address, "the guest's ring is not aligned"}, {tell_outside, "the guest's ring is not in RAM"},
      {tell_nowhere, "the guest's ring is not in RAM"},
  };
  for (size_t each = 0; each < sizeof CASES / sizeof *CASES; each++) {
    begin(NONE);
    try_to_start(CASES[each].spoil);
    ends_with(CASES[each].sentence);
  }
}

static void refuses_messages(void) {
  static const struct {
    uint32_t type, size;
    uint64_t body[2];
    const char *sentence;
  } CASES[] = {
      {42, 0, {0}, "message 42 that was not agreed on"},
      {SET_FEATURES, 8, {1}, "wants features 0x1 of"},
      {SET_VRING_NUM, 8, {2}, "about queue 2 of 2"},
      {SET_VRING_ENABLE, 8, {UINT32_MAX}, "about queue 4294967295 of 2"},
      {GET_VRING_BASE, 8, {7}, "about queue 7 of 2"},
      {SET_VRING_KICK, 8, {200}, "about queue 200 of 2"},
      {SET_VRING_KICK, 8, {1}, "comes with 0 descriptors"},
      {SET_VRING_KICK, 8, {0x101}, "comes with 0 descriptors"},
      {SET_VRING_NUM, 8, {1 | UINT64_C(64) << 32}, "changes a ring that is at work"},
      {SET_MEM_TABLE, 8, {9}, "has 9 regions"},
      {SET_MEM_TABLE, 8, {1}, "a region of 0 bytes"},
      {SET_MEM_TABLE, 8, {0}, "the guest's ring is not in RAM"},
  };
  for (size_t each = 0; each < sizeof CASES / sizeof *CASES; each++) {
    begin(NONE);
    tell(CASES[each].type, CASES[each].body, CASES[each].size, -1);
    ends_with(CASES[each].sentence);
  }
  begin(NONE);
  uint32_t header[] = {SET_MEM_TABLE, 1, 5000};
  expect(send(qemu, header, sizeof header, 0) == sizeof header);
  ends_with("malformed");
  begin(NONE);
  header[2] = 8;
  expect(send(qemu, header, sizeof header, 0) == sizeof header && shutdown(qemu, SHUT_WR) == 0);
  ends_with("incomplete");
}

/* What virtiofsd answers to the first question. */
static void greet_wrongly(uint32_t type, uint64_t features, uint32_t size, const char *sentence) {
  struct message message;
  attach();
  expect(receive_message(server, &message) && message.type == GET_FEATURES);
  if (size > 0) expect(send_message(server, type, 4, &features, size, -1));
  if (size == 0) shutdown(server, SHUT_RDWR);
  const char *reason = said();
  expect(strstr(reason, sentence) != NULL && hangs_up(qemu) && hangs_up(server));
  close(qemu);
  close(server);
}

static void refuses_greetings(void) {
  greet_wrongly(GET_FEATURES, FEATURE_PROTOCOL_FEATURES, 8, "does not offer virtio 1");
  greet_wrongly(GET_FEATURES, FEATURE_VERSION_1, 4, "answers message 1 with message 1 of 4 bytes");
  greet_wrongly(SET_OWNER, FEATURE_VERSION_1, 8, "answers message 1 with message 3 of 8 bytes");
  greet_wrongly(0, 0, 0, "virtiofsd hung up");
}

const struct trial refusals[] = {
    {"ends the device over a broken ring, with a sentence", refuses_broken_rings},
    {"ends the device over a completion that was not asked for", refuses_hostile_server},
    {"ends the device over a ring that is too large, not aligned or not in RAM", refuses_rings_elsewhere},
    {"ends the device over a message that was not agreed on", refuses_messages},
    {"ends the device over a greeting that is not virtiofsd's", refuses_greetings},
    {0},
};
