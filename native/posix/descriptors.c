#include "place.h"
#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The most one message that carries descriptors may hold beside them. */
enum { MESSAGE_LIMIT = 4096 };
/* SCM_MAX_FD, the kernel's own limit (unix(7)). */
enum { FDS_LIMIT = 253 };

static napi_value make_pair(napi_env env, const int fds[2]) {
  napi_value pair;
  napi_value first = make_int(env, fds[0]);
  napi_value second = make_int(env, fds[1]);
  if (napi_create_array_with_length(env, 2, &pair) == napi_ok && napi_set_element(env, pair, 0, first) == napi_ok &&
      napi_set_element(env, pair, 1, second) == napi_ok)
    return pair;
  close(fds[0]);
  close(fds[1]);
  return NULL;
}

napi_value posix_socketpair(napi_env env, napi_callback_info info) {
  (void)info;
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) return throw_errno(env, errno, "socketpair", NULL);
  return make_pair(env, fds);
}

napi_value posix_pipe(napi_env env, napi_callback_info info) {
  (void)info;
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) < 0) return throw_errno(env, errno, "pipe2", NULL);
  return make_pair(env, fds);
}

/* Makes a socket of the path's: connects it, or has it listen. */
static napi_value open_unix(napi_env env, napi_callback_info info, const char *call,
                            int (*bring)(int fd, const struct sockaddr *address, socklen_t size)) {
  napi_value argument;
  char *path;
  if (!read_arguments(env, info, 1, &argument) || !read_string(env, argument, false, &path)) return NULL;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  napi_value result = NULL;
  if (strlen(path) >= sizeof address.sun_path) {
    throw_errno(env, ENAMETOOLONG, call, path);
  } else {
    memcpy(address.sun_path, path, strlen(path));
    /* Non-blocking: a listener that never accepts must not stop the event loop (a full backlog is EAGAIN). */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
      throw_errno(env, errno, "socket", NULL);
    } else if (bring(fd, (struct sockaddr *)&address, sizeof address) < 0 || fcntl(fd, F_SETFL, 0) < 0) {
      int error = errno;
      close(fd);
      throw_errno(env, error, call, path);
    } else {
      result = make_int(env, fd);
    }
  }
  free(path);
  return result;
}

napi_value posix_connect_unix(napi_env env, napi_callback_info info) {
  return open_unix(env, info, "connect", connect);
}

static int bind_and_listen(int fd, const struct sockaddr *address, socklen_t size) {
  return bind(fd, address, size) < 0 ? -1 : listen(fd, SOMAXCONN);
}

napi_value posix_listen_unix(napi_env env, napi_callback_info info) {
  return open_unix(env, info, "bind", bind_and_listen);
}

napi_value posix_send_fds(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  int socket_fd;
  struct iovec fds, data;
  if (!read_arguments(env, info, 3, arguments) || !read_int(env, arguments[0], &socket_fd) ||
      !read_bytes(env, arguments[1], &fds.iov_base, &fds.iov_len) ||
      !read_bytes(env, arguments[2], &data.iov_base, &data.iov_len))
    return NULL;
  /* A stream socket needs at least one byte to hang a descriptor on (unix(7)). */
  if (data.iov_len == 0 || fds.iov_len == 0) return throw_errno(env, EINVAL, "sendmsg", NULL);
  if (data.iov_len > MESSAGE_LIMIT || fds.iov_len > FDS_LIMIT * sizeof(int))
    return throw_errno(env, EMSGSIZE, "sendmsg", NULL);
  union {
    char bytes[CMSG_SPACE(FDS_LIMIT * sizeof(int))];
    struct cmsghdr align;
  } control = {0};
  struct msghdr message = {.msg_iov = &data,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = CMSG_SPACE(fds.iov_len)};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(fds.iov_len);
  memcpy(CMSG_DATA(header), fds.iov_base, fds.iov_len);
  ssize_t sent;
  do sent = sendmsg(socket_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (sent < 0 && errno == EINTR);
  if (sent < 0) return throw_errno(env, errno, "sendmsg", NULL);
  /* The descriptors went with the first byte; a partial send of so little means a full buffer, and the rest is lost. */
  if ((size_t)sent != data.iov_len) return throw_errno(env, EMSGSIZE, "sendmsg", NULL);
  return make_undefined(env);
}

napi_value posix_recv_fd(napi_env env, napi_callback_info info) {
  napi_value argument;
  int socket_fd;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &socket_fd)) return NULL;
  char bytes[MESSAGE_LIMIT];
  struct iovec data = {.iov_base = bytes, .iov_len = sizeof bytes};
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control = {0};
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  ssize_t received;
  do received = recvmsg(socket_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (received < 0 && errno == EINTR);
  if (received < 0) return throw_errno(env, errno, "recvmsg", NULL);
  int fd = -1;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  /* The kernel drops descriptors that do not fit in the control buffer, so there is at most the one asked for. */
  if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len == CMSG_LEN(sizeof(int)))
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
  if (received == 0) {
    if (fd >= 0) close(fd);
    return throw_errno(env, ECONNRESET, "recvmsg", NULL);
  }
  if (fd < 0) return throw_errno(env, ENOMSG, "recvmsg", NULL);
  napi_value result, buffer;
  if (napi_create_object(env, &result) == napi_ok &&
      napi_create_buffer_copy(env, (size_t)received, bytes, NULL, &buffer) == napi_ok &&
      set_int(env, result, "fd", fd) && napi_set_named_property(env, result, "data", buffer) == napi_ok)
    return result;
  close(fd);
  return NULL;
}

/* Close-on-exec by nature (pidfd_open(2)). */
napi_value posix_pidfd_open(napi_env env, napi_callback_info info) {
  napi_value argument;
  int pid;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &pid)) return NULL;
  int process = (int)syscall(SYS_pidfd_open, pid, 0);
  return process < 0 ? throw_errno(env, errno, "pidfd_open", NULL) : make_int(env, process);
}

/* Through syscall(2): glibc has wrappers for neither before 2.36. The copy is close-on-exec (pidfd_getfd(2)). */
napi_value posix_take_fd(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  int pid, fd;
  if (!read_arguments(env, info, 2, arguments) || !read_int(env, arguments[0], &pid) ||
      !read_int(env, arguments[1], &fd))
    return NULL;
  int process = (int)syscall(SYS_pidfd_open, pid, 0);
  if (process < 0) return throw_errno(env, errno, "pidfd_open", NULL);
  int copy = (int)syscall(SYS_pidfd_getfd, process, fd, 0);
  int error = errno;
  close(process);
  if (copy < 0) return throw_errno(env, error, "pidfd_getfd", NULL);
  return make_int(env, copy);
}

/* The target is open across exec, as 0, 1 and 2 are to be (dup(2)). */
napi_value posix_dup2(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  int fd, target;
  if (!read_arguments(env, info, 2, arguments) || !read_int(env, arguments[0], &fd) ||
      !read_int(env, arguments[1], &target))
    return NULL;
  int status;
  do status = put_in_place(fd, target, 0);
  while (status < 0 && (errno == EINTR || errno == EBUSY));
  return status < 0 ? throw_errno(env, errno, "dup2", NULL) : NULL;
}

/* lseek(2), SEEK_DATA and SEEK_HOLE: where the next data of a file is, nothing when there is none. */
napi_value posix_next_data(napi_env env, napi_callback_info info) {
  napi_value arguments[2], pair;
  int fd;
  int64_t from;
  if (!read_arguments(env, info, 2, arguments) || !read_int(env, arguments[0], &fd) ||
      napi_get_value_int64(env, arguments[1], &from) != napi_ok)
    return NULL;
  off_t start = lseek(fd, from, SEEK_DATA);
  if (start < 0 && errno == ENXIO) return NULL;
  off_t end = start < 0 ? -1 : lseek(fd, start, SEEK_HOLE);
  if (end < 0) return throw_errno(env, errno, "lseek", NULL);
  napi_value first = make_int(env, start);
  napi_value second = make_int(env, end);
  if (napi_create_array_with_length(env, 2, &pair) == napi_ok && napi_set_element(env, pair, 0, first) == napi_ok &&
      napi_set_element(env, pair, 1, second) == napi_ok)
    return pair;
  return NULL;
}

/* close_range(2). */
napi_value posix_close_on_exec_from(napi_env env, napi_callback_info info) {
  napi_value argument;
  int first;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &first)) return NULL;
  if (close_range((unsigned int)first, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
    return throw_errno(env, errno, "close_range", NULL);
  return make_undefined(env);
}

napi_value posix_flock(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  int fd, operation;
  if (!read_arguments(env, info, 2, arguments) || !read_int(env, arguments[0], &fd) ||
      !read_int(env, arguments[1], &operation))
    return NULL;
  int status;
  do status = flock(fd, operation);
  while (status < 0 && errno == EINTR);
  if (status < 0 && errno != EWOULDBLOCK) return throw_errno(env, errno, "flock", NULL);
  napi_value locked;
  return napi_get_boolean(env, status == 0, &locked) == napi_ok ? locked : NULL;
}

/* fcntl(2), "Open file description locks". */
napi_value posix_lock_byte(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  int fd;
  uint32_t offset;
  if (!read_arguments(env, info, 2, arguments) || !read_int(env, arguments[0], &fd) ||
      !read_uint32(env, arguments[1], &offset))
    return NULL;
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)offset, .l_len = 1};
  int status = fcntl(fd, F_OFD_SETLK, &lock);
  if (status < 0 && errno != EAGAIN && errno != EACCES) return throw_errno(env, errno, "fcntl", NULL);
  napi_value locked;
  return napi_get_boolean(env, status == 0, &locked) == napi_ok ? locked : NULL;
}

static bool read_byte(napi_env env, napi_value *arguments, int *fd, struct flock *lock) {
  uint32_t offset;
  if (!read_int(env, arguments[0], fd) || !read_uint32(env, arguments[1], &offset)) return false;
  lock->l_start = (off_t)offset;
  return true;
}

napi_value posix_share_byte(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  int fd;
  bool held;
  struct flock lock = {.l_whence = SEEK_SET, .l_len = 1};
  if (!read_arguments(env, info, 3, arguments) || !read_byte(env, arguments, &fd, &lock) ||
      !read_bool(env, arguments[2], &held))
    return NULL;
  lock.l_type = held ? F_RDLCK : F_UNLCK;
  if (fcntl(fd, F_OFD_SETLK, &lock) < 0) return throw_errno(env, errno, "fcntl", NULL);
  return make_undefined(env);
}

napi_value posix_is_byte_shared(napi_env env, napi_callback_info info) {
  napi_value arguments[2], shared;
  int fd;
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
  if (!read_arguments(env, info, 2, arguments) || !read_byte(env, arguments, &fd, &lock)) return NULL;
  if (fcntl(fd, F_OFD_GETLK, &lock) < 0) return throw_errno(env, errno, "fcntl", NULL);
  return napi_get_boolean(env, lock.l_type != F_UNLCK, &shared) == napi_ok ? shared : NULL;
}

napi_value posix_syncfs(napi_env env, napi_callback_info info) {
  napi_value argument;
  int fd;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &fd)) return NULL;
  if (syncfs(fd) < 0) return throw_errno(env, errno, "syncfs", NULL);
  return make_undefined(env);
}
