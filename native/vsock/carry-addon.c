#include <errno.h>
#include <sys/epoll.h>

#include "poller.h"

/* carryStart(from, to, id, drains): also takes the number after `id`, which names its sink. */
napi_value carry_call_start(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  int from, to, id;
  bool drains;
  if (!read_arguments(env, info, 4, arguments) || !read_int(env, arguments[0], &from) ||
      !read_int(env, arguments[1], &to) || !read_int(env, arguments[2], &id) || !read_bool(env, arguments[3], &drains))
    return NULL;
  struct poller *poller = get_poller(env);
  if (poller == NULL) return NULL;
  struct carry *carry = carry_make(from, to, drains);
  if (carry == NULL) return throw_errno(env, errno, "fcntl", NULL);
  carry->id = (uint32_t)id;
  if (watch_descriptor(poller, EPOLL_CTL_ADD, carry->from, carry->id) < 0 ||
      watch_descriptor(poller, EPOLL_CTL_ADD, carry->to, carry->id + 1) < 0) {
    int error = errno;
    epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, carry->from, NULL);
    carry_free(carry);
    return throw_errno(env, error, "epoll_ctl", NULL);
  }
  carry->next = poller->carries;
  poller->carries = carry;
  return make_undefined(env);
}

/* A call's arguments, of which the first names the carry. Returns NULL, having thrown, when there is none. */
static struct carry *read_carry(napi_env env, napi_callback_info info, size_t count, napi_value *arguments,
                                struct poller **poller, struct carry ***place) {
  int id;
  if (!read_arguments(env, info, count, arguments)) return NULL;
  *poller = get_poller(env);
  if (*poller == NULL || !read_int(env, arguments[0], &id)) return NULL;
  *place = find_carry(*poller, (uint32_t)id);
  if (**place == NULL) throw_errno(env, EBADF, "epoll_ctl", NULL);
  return **place;
}

/* What is new with a carry, of which something has been changed. */
static napi_value step_changed(napi_env env, struct poller *poller, struct carry *carry) {
  bool again;
  uint32_t told = carry_step(carry, false, 0, &again);
  if (again) step_again(poller, carry);
  return make_int(env, told);
}

/* carryLimit(id, bytes): it is over once it has taken so many; with -1, once it has passed on what it has. Returns CARRY_*. */
napi_value carry_call_limit(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  struct poller *poller;
  struct carry **place;
  int64_t limit;
  struct carry *carry = read_carry(env, info, 2, arguments, &poller, &place);
  if (carry == NULL) return NULL;
  if (napi_get_value_int64(env, arguments[1], &limit) != napi_ok) return throw_errno(env, EINVAL, "carryLimit", NULL);
  if (limit == -1) limit = (int64_t)carry->taken;
  if (limit < (int64_t)carry->taken) return throw_errno(env, EINVAL, "carryLimit", NULL);
  carry->limit = (uint64_t)limit;
  return step_changed(env, poller, carry);
}

/* carryLetGo(id): goes on as if its sink took no more, and closes its copy of that. Returns CARRY_*. */
napi_value carry_call_let_go(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct poller *poller;
  struct carry **place;
  struct carry *carry = read_carry(env, info, 1, &argument, &poller, &place);
  if (carry == NULL) return NULL;
  epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, carry->to, NULL);
  carry_let_go(carry);
  return step_changed(env, poller, carry);
}

/* carryStop(id): ends it; how many bytes it has moved. */
napi_value carry_call_stop(napi_env env, napi_callback_info info) {
  napi_value argument;
  struct poller *poller;
  struct carry **place;
  struct carry *carry = read_carry(env, info, 1, &argument, &poller, &place);
  if (carry == NULL) return NULL;
  *place = carry->next;
  int64_t bytes = (int64_t)(carry->taken - (carry->held_end - carry->held_at));
  epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, carry->from, NULL);
  epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, carry->to, NULL);
  carry_free(carry);
  return make_int(env, bytes);
}
