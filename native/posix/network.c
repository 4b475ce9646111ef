#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* The kernel answers before send() returns; the limit is for an answer that for whatever reason does not come. */
enum { NETLINK_LIMIT_S = 5 };

napi_value posix_netlink_socket(napi_env env, napi_callback_info info) {
  napi_value argument;
  int protocol;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &protocol)) return NULL;
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0) return throw_errno(env, errno, "socket", "AF_NETLINK");
  struct timeval limit = {.tv_sec = NETLINK_LIMIT_S};
  int on = 1;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0 ||
      /* Answers without the request in them, and with a sentence where the kernel has one (Linux 4.12). */
      setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on) < 0 ||
      setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on) < 0) {
    int error = errno;
    close(fd);
    return throw_errno(env, error, "setsockopt", "AF_NETLINK");
  }
  return make_int(env, fd);
}

napi_value posix_netlink_watch(napi_env env, napi_callback_info info) {
  napi_value argument;
  int groups;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &groups)) return NULL;
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (fd < 0) return throw_errno(env, errno, "socket", "AF_NETLINK");
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = (unsigned int)groups};
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    int error = errno;
    close(fd);
    return throw_errno(env, error, "bind", "AF_NETLINK");
  }
  return make_int(env, fd);
}

napi_value posix_open_tap(napi_env env, napi_callback_info info) {
  napi_value arguments[2], result;
  bool persistent;
  char *name;
  if (!read_arguments(env, info, 2, arguments) || !read_bool(env, arguments[1], &persistent) ||
      !read_string(env, arguments[0], false, &name))
    return NULL;
  struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
  if (strlen(name) >= sizeof request.ifr_name) {
    free(name);
    return throw_errno(env, ENAMETOOLONG, "ioctl", "TUNSETIFF");
  }
  strcpy(request.ifr_name, name);
  free(name);
  int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return throw_errno(env, errno, "open", "/dev/net/tun");
  const char *step = "TUNSETIFF";
  int index = 0;
  int status = ioctl(fd, TUNSETIFF, &request);
  if (status == 0 && persistent) {
    step = "TUNSETPERSIST";
    status = ioctl(fd, TUNSETPERSIST, 1);
  }
  if (status == 0) {
    step = request.ifr_name;
    index = (int)if_nametoindex(request.ifr_name);
  }
  if (status < 0 || index == 0) {
    int error = errno;
    throw_errno(env, error, "ioctl", step);
    close(fd);
    return NULL;
  }
  napi_value text;
  if (napi_create_object(env, &result) == napi_ok && set_int(env, result, "fd", fd) &&
      set_int(env, result, "index", index) &&
      napi_create_string_utf8(env, request.ifr_name, NAPI_AUTO_LENGTH, &text) == napi_ok &&
      napi_set_named_property(env, result, "name", text) == napi_ok)
    return result;
  close(fd);
  return NULL;
}
