#include "vsock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* After sys/socket.h: it needs struct sockaddr. */
#include <linux/vm_sockets.h>

static napi_value throw_address(napi_env env, int error, const char *syscall, uint32_t cid, uint32_t port) {
  char subject[40];
  snprintf(subject, sizeof subject, "vsock:%u:%u", cid, port);
  return throw_errno(env, error, syscall, subject);
}

static int open_socket(void) { return socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }

static struct sockaddr_vm make_address(uint32_t cid, uint32_t port) {
  return (struct sockaddr_vm){.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
}

/* connect(cid, port, timeout in ms): a socket that becomes writable once it is connected. */
napi_value vsock_connect(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  uint32_t cid, port, timeout_ms;
  if (!read_arguments(env, info, 3, arguments) || !read_uint32(env, arguments[0], &cid) ||
      !read_uint32(env, arguments[1], &port) || !read_uint32(env, arguments[2], &timeout_ms))
    return NULL;
  int fd = open_socket();
  if (fd < 0) return throw_address(env, errno, "socket", cid, port);
  /* Two seconds by default, too short for a slow guest; it holds for a non-blocking connect as well. */
  struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
  struct sockaddr_vm address = make_address(cid, port);
  if (setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &timeout, sizeof timeout) < 0 ||
      (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)) {
    int error = errno;
    close(fd);
    return throw_address(env, error, "connect", cid, port);
  }
  return make_int(env, fd);
}

napi_value vsock_listen(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  uint32_t cid, port;
  int backlog;
  if (!read_arguments(env, info, 3, arguments) || !read_uint32(env, arguments[0], &cid) ||
      !read_uint32(env, arguments[1], &port) || !read_int(env, arguments[2], &backlog))
    return NULL;
  int fd = open_socket();
  if (fd < 0) return throw_address(env, errno, "socket", cid, port);
  struct sockaddr_vm address = make_address(cid, port);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, backlog) < 0) {
    int error = errno;
    close(fd);
    return throw_address(env, error, "listen", cid, port);
  }
  return make_int(env, fd);
}

/* The new socket, or a negative errno. */
napi_value vsock_accept(napi_env env, napi_callback_info info) {
  napi_value argument;
  int fd, accepted;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &fd)) return NULL;
  do accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  while (accepted < 0 && errno == EINTR);
  return make_int(env, accepted < 0 ? -errno : accepted);
}

/* The errno that a connect() ended with, 0 for none. */
napi_value vsock_socket_error(napi_env env, napi_callback_info info) {
  napi_value argument;
  int fd, error = 0;
  socklen_t size = sizeof error;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &fd)) return NULL;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) return throw_errno(env, errno, "getsockopt", NULL);
  return make_int(env, error);
}

static napi_value read_address(napi_env env, napi_callback_info info,
                               int (*get)(int, struct sockaddr *restrict, socklen_t *restrict), const char *syscall) {
  napi_value argument, result;
  int fd;
  struct sockaddr_vm address = {0};
  socklen_t size = sizeof address;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &fd)) return NULL;
  if (get(fd, (struct sockaddr *)&address, &size) < 0) return throw_errno(env, errno, syscall, NULL);
  if (napi_create_object(env, &result) == napi_ok && set_int(env, result, "cid", address.svm_cid) &&
      set_int(env, result, "port", address.svm_port))
    return result;
  return NULL;
}

napi_value vsock_local_address(napi_env env, napi_callback_info info) {
  return read_address(env, info, getsockname, "getsockname");
}

napi_value vsock_remote_address(napi_env env, napi_callback_info info) {
  return read_address(env, info, getpeername, "getpeername");
}
