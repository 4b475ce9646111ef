#include "vhost-proxy.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

/* A slow disk takes less: this is for whoever wants to know why a container hangs. */
enum { SILENCE_S = 10 };
/* Until it answers again: it has been told of. */
static const int64_t TOLD = INT64_MAX;

static const struct queue *requests_of(const struct device *device) { return &device->queues[NORMAL]; }

/* Without anybody to be told there is nobody to miss it. */
static void tell(int control, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void tell(int control, const char *format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (send(control, line, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return;
}

void watch_silence(struct device *device, int control) {
  const struct queue *requests = requests_of(device);
  bool waits = in_flight(requests) > 0, has_answered = requests->answers != device->answers;
  device->answers = requests->answers;
  if (has_answered && device->silent_at_us == TOLD) tell(control, "again virtiofsd answers the guest again\n");
  if (!waits)
    device->silent_at_us = 0;
  else if (has_answered || device->silent_at_us == 0)
    device->silent_at_us = now_us() + SILENCE_S * INT64_C(1000000);
  if (!waits || now_us() < device->silent_at_us) return;
  device->silent_at_us = TOLD;
  tell(control, "warning virtiofsd has not answered the guest for %d s (requests that wait: %u)\n", SILENCE_S, in_flight(requests));
}

int silence_limit_ms(const struct device *device) {
  if (device->silent_at_us == 0 || device->silent_at_us == TOLD) return -1;
  int64_t left_us = device->silent_at_us - now_us();
  return left_us < 0 ? 0 : (int)(left_us / 1000) + 1;
}
