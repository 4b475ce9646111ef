#include "trial.h"

#include <string.h>
#include <unistd.h>

static void carries_small(void) {
  begin(NONE);
  for (int each = 0; each < 3000; each++) {
    uint32_t queue = each % 30 == 0 ? HIPRIO : REQUEST_QUEUE;
    submit_small(queue, (uint16_t)(each % 8 * 4));
    expect(completed(queue, 1));
    check_small(queue, (uint16_t)(each % 8 * 4));
  }
  detach();
  expect(said()[0] == '\0');
}

/* One each 0.2 ms: a call for each would be forty. */
static void carries_together(void) {
  begin(NONE);
  for (int each = 0; each < 40; each++) {
    submit_small(HIPRIO, (uint16_t)(each % 8 * 4));
    usleep(200);
  }
  expect(completed(HIPRIO, 40) && times_called(HIPRIO) < 20);
  usleep(20 * 1000);
  submit_small(HIPRIO, 0);
  submit_small(REQUEST_QUEUE, 0);
  expect(completed(REQUEST_QUEUE, 1) && completed(HIPRIO, 1));
  check_small(HIPRIO, 0);
  detach();
  expect(said()[0] == '\0');
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

static void awaits_rings(void) {
  begin(LATE);
  for (uint16_t queue = 0; queue < QUEUES; queue++) submit_small(queue, queue * 4);
  for (uint16_t queue = 0; queue < QUEUES; queue++) {
    expect(completed(queue, 1));
    check_small(queue, queue * 4);
  }
  detach();
  expect(said()[0] == '\0');
}

const struct trial carrying[] = {
    {"kicks virtiofsd when it has set its rings up, however late that is", awaits_rings},
    {"carries small requests on both queues", carries_small},
    {"carries together what the guest has forgotten within 5 ms", carries_together},
    {"carries requests of up to 512 pages each way, which virtiofsd gets as five descriptors", carries_large},
    {"waits for completions when its memory is full", waits_in_order},
    {"takes completions in another order", waits_out_of_order},
    {"reads nothing again that virtiofsd can write", outlives_scribbles},
    {0},
};
