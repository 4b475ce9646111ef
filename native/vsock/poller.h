#ifndef CAISSON_POLLER_H
#define CAISSON_POLLER_H

#include <uv.h>

#include "carry.h"
#include "vsock.h"

struct poller {
  uv_poll_t handle;
  /* Runs while a carry rests. */
  uv_timer_t rest;
  int epoll_fd;
  napi_env env;
  napi_ref callback;
  napi_async_cleanup_hook_handle cleanup;
  /* Pairs of watcher id and events, shared with JavaScript; the array it belongs to is kept by the reference. */
  napi_ref events_array;
  int32_t *events;
  /* What is moved without JavaScript, which hears of its end. */
  struct carry *carries;
};

/* The one of this thread; NULL with an exception when there is none. */
struct poller *get_poller(napi_env env);
/* epoll_ctl(2) with all events, edge-triggered; looks at them anew in any case. */
int watch_descriptor(struct poller *poller, int operation, int fd, uint32_t id);
/* Where the one is linked whose number, or whose sink's, it is; where it would be, if there is none. */
struct carry **find_carry(struct poller *poller, uint32_t id);
/* Has it stepped once more when the others have had their turn. */
void step_again(struct poller *poller, const struct carry *carry);

#endif
