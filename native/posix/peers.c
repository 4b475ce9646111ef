#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum { MOST_GROUPS = 65536 };

static bool set_ids(napi_env env, napi_value list, const uint32_t *ids, size_t count) {
  for (size_t index = 0; index < count; index++) {
    napi_value id;
    if (napi_create_uint32(env, ids[index], &id) != napi_ok ||
        napi_set_element(env, list, (uint32_t)index, id) != napi_ok)
      return false;
  }
  return true;
}

napi_value posix_peer_credentials(napi_env env, napi_callback_info info) {
  napi_value argument, result = NULL, groups;
  int fd;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &fd)) return NULL;
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return throw_errno(env, errno, "getsockopt", NULL);
  gid_t *ids = malloc(MOST_GROUPS * sizeof *ids);
  socklen_t bytes = MOST_GROUPS * sizeof *ids;
  if (ids == NULL || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, ids, &bytes) < 0)
    throw_errno(env, ids == NULL ? ENOMEM : errno, "getsockopt", NULL);
  else if (napi_create_object(env, &result) != napi_ok || napi_create_array(env, &groups) != napi_ok ||
           !set_int(env, result, "uid", peer.uid) || !set_int(env, result, "gid", peer.gid) ||
           !set_ids(env, groups, ids, bytes / sizeof *ids) ||
           napi_set_named_property(env, result, "groups", groups) != napi_ok)
    result = NULL;
  free(ids);
  return result;
}

struct identity {
  uid_t uid;
  gid_t gid;
  const gid_t *groups;
  size_t count;
};

/* Changes the users of this thread only: the C library would change all threads'. Root's user comes back last and goes first, as only he may change the rest. */
static int become(const struct identity *one, bool root_before) {
  if (root_before && syscall(SYS_setresuid, -1, one->uid, -1) < 0) return -1;
  if (syscall(SYS_setgroups, one->count, one->groups) < 0 || syscall(SYS_setresgid, -1, one->gid, -1) < 0) return -1;
  return root_before || syscall(SYS_setresuid, -1, one->uid, -1) == 0 ? 0 : -1;
}

static int connect_as(int fd, const struct sockaddr_un *address, const struct identity *one) {
  static gid_t before[MOST_GROUPS];
  int count = getgroups(MOST_GROUPS, before);
  if (count < 0) return -1;
  const struct identity ours = {.uid = geteuid(), .gid = getegid(), .groups = before, .count = (size_t)count};
  int result = become(one, false);
  if (result == 0) result = connect(fd, (const struct sockaddr *)address, sizeof *address);
  int error = errno;
  /* A process that is half another user must not go on. */
  if (become(&ours, true) < 0) abort();
  errno = error;
  return result;
}

napi_value posix_connect_unix_as(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  struct identity one;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char *path;
  void *groups;
  size_t bytes;
  if (!read_arguments(env, info, 4, arguments) || !read_uint32(env, arguments[1], &one.uid) ||
      !read_uint32(env, arguments[2], &one.gid) || !read_bytes(env, arguments[3], &groups, &bytes) ||
      !read_string(env, arguments[0], false, &path))
    return NULL;
  one.groups = groups;
  one.count = bytes / sizeof(gid_t);
  napi_value result = NULL;
  int fd = -1;
  if (strlen(path) >= sizeof address.sun_path) {
    throw_errno(env, ENAMETOOLONG, "connect", path);
  } else if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0) {
    throw_errno(env, errno, "socket", NULL);
  } else {
    memcpy(address.sun_path, path, strlen(path));
    if (connect_as(fd, &address, &one) == 0) {
      result = make_int(env, fd);
    } else {
      int error = errno;
      close(fd);
      throw_errno(env, error, "connect", path);
    }
  }
  free(path);
  return result;
}
