#include "vhost-proxy.h"

#include <stdio.h>
#include <sys/socket.h>

/* A slow disk takes less: this is for whoever wants to know why a container hangs. */
enum { SILENCE_S = 10 };

static const struct queue *requests_of(const struct device *device) { return &device->queues[NORMAL]; }

void watch_silence(struct device *device, int control) {
  const struct queue *requests = requests_of(device);
  int64_t now = now_us();
  char line[256];
  if (in_flight(requests) == 0)
    device->silent_at_us = 0;
  else if (device->silent_at_us == 0 || requests->answers != device->answers)
    device->silent_at_us = now + SILENCE_S * INT64_C(1000000);
  device->answers = requests->answers;
  if (device->silent_at_us == 0 || now < device->silent_at_us) return;
  /* Once, until it answers again. */
  device->silent_at_us = INT64_MAX;
  int length = snprintf(line, sizeof line, "warning virtiofsd has not answered the guest for %d s (requests that wait: %u)\n", SILENCE_S,
                        in_flight(requests));
  if (send(control, line, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return;
}

int silence_limit_ms(const struct device *device) {
  if (in_flight(requests_of(device)) == 0 || device->silent_at_us == INT64_MAX) return -1;
  int64_t left_us = device->silent_at_us - now_us();
  return left_us < 0 ? 0 : (int)(left_us / 1000) + 1;
}
