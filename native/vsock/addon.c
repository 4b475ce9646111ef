#include "vsock.h"

#include "carry.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#define FUNCTION(name, function) {name, NULL, function, NULL, NULL, NULL, napi_enumerable, NULL}
#define CONSTANT(name) {#name, name}

static const struct {
  const char *name;
  int64_t value;
} constants[] = {
    CONSTANT(EPOLLIN), CONSTANT(EPOLLOUT), CONSTANT(EPOLLERR), CONSTANT(EPOLLHUP), CONSTANT(EPOLLRDHUP),
    CONSTANT(S_IFCHR), CONSTANT(S_IFSOCK), CONSTANT(EAGAIN),   CONSTANT(ECANCELED), CONSTANT(ECONNABORTED),
    CONSTANT(EALREADY), CONSTANT(EIO),    CONSTANT(EPIPE),      CONSTANT(CARRY_OVER), CONSTANT(CARRY_BROKEN),
};

NAPI_MODULE_INIT() {
  const napi_property_descriptor functions[] = {
      FUNCTION("pollerStart", poller_start),     FUNCTION("pollerAdd", poller_add),
      FUNCTION("pollerChange", poller_change),
      FUNCTION("pollerRemove", poller_remove),   FUNCTION("pollerRef", poller_ref),
      FUNCTION("open", stream_open),             FUNCTION("read", stream_read),
      FUNCTION("write", stream_write),           FUNCTION("shutdown", stream_shutdown),
      FUNCTION("error", stream_error),           FUNCTION("connect", vsock_connect),
      FUNCTION("listen", vsock_listen),          FUNCTION("accept", vsock_accept),
      FUNCTION("socketError", vsock_socket_error), FUNCTION("localAddress", vsock_local_address),
      FUNCTION("remoteAddress", vsock_remote_address), FUNCTION("isTerminal", stream_is_terminal),
      FUNCTION("carryStart", carry_call_start), FUNCTION("carryLimit", carry_call_limit),
      FUNCTION("carryStop", carry_call_stop),   FUNCTION("carryLetGo", carry_call_let_go),
  };
  napi_value object;
  if (napi_define_properties(env, exports, sizeof functions / sizeof functions[0], functions) != napi_ok ||
      napi_create_object(env, &object) != napi_ok)
    return NULL;
  for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++)
    if (!set_int(env, object, constants[i].name, constants[i].value)) return NULL;
  if (napi_set_named_property(env, exports, "constants", object) != napi_ok) return NULL;
  return exports;
}
