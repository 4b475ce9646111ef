/*
 * An edge-triggered epoll descriptor for all streams, itself watched by libuv.
 *
 * libuv watches level-triggered, which does not do for a virtio-serial port: while the host side is disconnected the
 * port reports EPOLLHUP without end (port_fops_poll in drivers/char/virtio_console.c), EPOLLHUP cannot be masked, and
 * libuv would spin. Edge-triggered, the port is reported again only when its wait queue is woken, which is what happens
 * when the host connects. An epoll descriptor is itself readable as long as it has events to hand out, so libuv can
 * wait for it (epoll(7), "nested").
 */
#include "poller.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
  /* Events taken in one go; what is left makes libuv call again. */
  BATCH = 64,
  /*
   * How long a carry is left alone whose sink is full. A pipe says that it has room as soon as a page of it is read; with no more than
   * that to be written at a time, a reader would spend its time in changing places with us, which costs several times the copying. What a pipe
   * holds (carry.c) lasts longer than this.
   */
  REST_MS = 4,
};

static const uint32_t EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

struct carry **find_carry(struct poller *poller, uint32_t id) {
  struct carry **place = &poller->carries;
  while (*place != NULL && (*place)->id != id && (*place)->id + 1 != id) place = &(*place)->next;
  return place;
}

static int set_events(struct poller *poller, int operation, int fd, uint32_t id, uint32_t events) {
  struct epoll_event event = {.events = events, .data.u32 = id};
  return epoll_ctl(poller->epoll_fd, operation, fd, &event);
}

int watch_descriptor(struct poller *poller, int operation, int fd, uint32_t id) {
  return set_events(poller, operation, fd, id, EVENTS);
}

/* A changed registration is looked at anew. A sink that takes more says so; without one there is only what comes. */
void step_again(struct poller *poller, const struct carry *carry) {
  if (carry->to >= 0)
    watch_descriptor(poller, EPOLL_CTL_MOD, carry->to, carry->id + 1);
  else
    watch_descriptor(poller, EPOLL_CTL_MOD, carry->from, carry->id);
}

/* What the kernel tells in any case is told, and nothing else. */
static void set_rests(struct poller *poller, struct carry *carry, bool rests) {
  carry->rests = rests;
  uint32_t events = rests ? EPOLLET : EVENTS;
  set_events(poller, EPOLL_CTL_MOD, carry->from, carry->id, events);
  if (carry->to >= 0) set_events(poller, EPOLL_CTL_MOD, carry->to, carry->id + 1, events);
}

static void on_rested(uv_timer_t *timer) {
  struct poller *poller = timer->data;
  for (struct carry *carry = poller->carries; carry != NULL; carry = carry->next)
    if (carry->rests) set_rests(poller, carry, false);
}

/* What JavaScript is to hear of the event; 0 when it is none of its business. */
static uint32_t take_event(struct poller *poller, struct epoll_event *event, uint32_t *id) {
  struct carry *carry = *find_carry(poller, event->data.u32);
  *id = event->data.u32;
  if (carry == NULL) return event->events;
  bool again;
  uint32_t told = carry_step(carry, event->data.u32 != carry->id, event->events, &again);
  *id = carry->id;
  if (again) step_again(poller, carry);
  if (carry->is_full && carry->is_roomy && !carry->rests) {
    set_rests(poller, carry, true);
    if (!uv_is_active((uv_handle_t *)&poller->rest)) uv_timer_start(&poller->rest, on_rested, REST_MS, 0);
  }
  return told;
}

static void on_ready(uv_poll_t *handle, int status, int events) {
  (void)events;
  struct poller *poller = handle->data;
  struct epoll_event ready[BATCH];
  if (status < 0) return;
  int count = epoll_wait(poller->epoll_fd, ready, BATCH, 0);
  if (count <= 0) return;
  int told = 0;
  for (int i = 0; i < count; i++) {
    uint32_t id, said = take_event(poller, &ready[i], &id);
    if (said == 0) continue;
    poller->events[2 * told] = (int32_t)id;
    poller->events[2 * told + 1] = (int32_t)said;
    told++;
  }
  if (told == 0) return;
  napi_env env = poller->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value callback, global, argument = make_int(env, told);
  if (argument != NULL && napi_get_reference_value(env, poller->callback, &callback) == napi_ok &&
      napi_get_global(env, &global) == napi_ok &&
      napi_make_callback(env, NULL, global, callback, 1, &argument, NULL) == napi_pending_exception) {
    napi_value exception;
    if (napi_get_and_clear_last_exception(env, &exception) == napi_ok) napi_fatal_exception(env, exception);
  }
  napi_close_handle_scope(env, scope);
}

static void on_closed(uv_handle_t *handle) {
  struct poller *poller = handle->data;
  close(poller->epoll_fd);
  while (poller->carries != NULL) {
    struct carry *carry = poller->carries;
    poller->carries = carry->next;
    carry_free(carry);
  }
  napi_remove_async_cleanup_hook(poller->cleanup);
  free(poller);
}

static void on_timer_closed(uv_handle_t *timer) {
  struct poller *poller = timer->data;
  uv_close((uv_handle_t *)&poller->handle, on_closed);
}

static void on_cleanup(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  struct poller *poller = data;
  uv_close((uv_handle_t *)&poller->rest, on_timer_closed);
}

napi_value poller_start(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  if (!read_arguments(env, info, 2, arguments)) return NULL;
  void *events;
  size_t size;
  uv_loop_t *loop;
  if (!read_bytes(env, arguments[1], &events, &size)) return NULL;
  if (size < sizeof(int32_t) * 2 * BATCH) return throw_errno(env, EINVAL, "epoll_create1", NULL);
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return throw_errno(env, EIO, "epoll_create1", NULL);
  struct poller *poller = calloc(1, sizeof *poller);
  if (poller == NULL) return throw_errno(env, ENOMEM, "epoll_create1", NULL);
  poller->env = env;
  poller->events = events;
  poller->handle.data = poller;
  poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (poller->epoll_fd < 0) {
    int error = errno;
    free(poller);
    return throw_errno(env, error, "epoll_create1", NULL);
  }
  int status = uv_poll_init(loop, &poller->handle, poller->epoll_fd);
  if (status < 0) {
    close(poller->epoll_fd);
    free(poller);
    return throw_errno(env, -status, "epoll_create1", NULL);
  }
  uv_unref((uv_handle_t *)&poller->handle);
  uv_timer_init(loop, &poller->rest);
  poller->rest.data = poller;
  uv_unref((uv_handle_t *)&poller->rest);
  /* From here on only the clean-up hook may free the poller: libuv owns the handle until it is closed. */
  if (napi_add_async_cleanup_hook(env, on_cleanup, poller, &poller->cleanup) != napi_ok ||
      napi_set_instance_data(env, poller, NULL, NULL) != napi_ok ||
      napi_create_reference(env, arguments[0], 1, &poller->callback) != napi_ok ||
      napi_create_reference(env, arguments[1], 1, &poller->events_array) != napi_ok)
    return throw_errno(env, ENOMEM, "epoll_create1", NULL);
  status = uv_poll_start(&poller->handle, UV_READABLE, on_ready);
  if (status < 0) return throw_errno(env, -status, "epoll_create1", NULL);
  return make_undefined(env);
}

struct poller *get_poller(napi_env env) {
  void *poller = NULL;
  if (napi_get_instance_data(env, &poller) != napi_ok || poller == NULL) throw_errno(env, EBADF, "epoll_ctl", NULL);
  return poller;
}

static napi_value watch_call(napi_env env, napi_callback_info info, int operation) {
  napi_value arguments[3];
  int fd, id;
  bool room;
  if (!read_arguments(env, info, 3, arguments) || !read_int(env, arguments[0], &fd) ||
      !read_int(env, arguments[1], &id) || napi_get_value_bool(env, arguments[2], &room) != napi_ok)
    return NULL;
  struct poller *poller = get_poller(env);
  if (poller == NULL) return NULL;
  uint32_t events = room ? EVENTS : EVENTS & ~(uint32_t)EPOLLOUT;
  if (set_events(poller, operation, fd, (uint32_t)id, events) < 0) return throw_errno(env, errno, "epoll_ctl", NULL);
  return make_undefined(env);
}

napi_value poller_add(napi_env env, napi_callback_info info) {
  return watch_call(env, info, EPOLL_CTL_ADD);
}

napi_value poller_change(napi_env env, napi_callback_info info) {
  return watch_call(env, info, EPOLL_CTL_MOD);
}

napi_value poller_remove(napi_env env, napi_callback_info info) {
  napi_value argument;
  int fd;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &fd)) return NULL;
  struct poller *poller = get_poller(env);
  if (poller == NULL) return NULL;
  if (epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, fd, NULL) < 0) return throw_errno(env, errno, "epoll_ctl", NULL);
  return make_undefined(env);
}

napi_value poller_ref(napi_env env, napi_callback_info info) {
  napi_value argument;
  bool keep;
  if (!read_arguments(env, info, 1, &argument)) return NULL;
  struct poller *poller = get_poller(env);
  if (poller == NULL || napi_get_value_bool(env, argument, &keep) != napi_ok) return NULL;
  if (keep)
    uv_ref((uv_handle_t *)&poller->handle);
  else
    uv_unref((uv_handle_t *)&poller->handle);
  return make_undefined(env);
}
