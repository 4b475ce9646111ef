#include "trial.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

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

/* The proxy has read a request from the ring then, which waits for memory. */
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

static void tells_of_silence(void) {
  begin(HOLD);
  usleep(5000 * 1000);
  submit_small(REQUEST_QUEUE, 0);
  usleep(5500 * 1000);
  submit_small(REQUEST_QUEUE, 4);
  expect(said()[0] == '\0');
  usleep(4100 * 1000);
  expect(strcmp(said(), "warning virtiofsd has not answered the guest for 10 s (requests that wait: 2)") == 0);
  expect(said()[0] == '\0');
  release();
  expect(completed(REQUEST_QUEUE, 2));
  expect(strcmp(said(), "again virtiofsd answers the guest again") == 0);
  submit_small(REQUEST_QUEUE, 0);
  expect(completed(REQUEST_QUEUE, 1));
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

const struct trial lifecycle[] = {
    {"stops a ring when its requests are done, and goes on where it was", stops_and_goes_on},
    {"stops a ring that is full, and takes the rest afterwards", stops_when_full},
    {"gives memory back a second after the last request", gives_memory_back},
    {"tells that virtiofsd has not answered for 10 s, and that it does again", tells_of_silence},
    {"hangs up when either side does, and takes the next device", hangs_up_both_ways},
    {"refuses a second device, and a message without sockets", refuses_second_device},
    {"costs no processor time when idle", costs_nothing_idle},
    {0},
};
