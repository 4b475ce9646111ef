/*
 * Reading and writing for streams. These are the hot calls: they return a count of bytes or a negative errno rather than
 * throw, since EAGAIN is an everyday answer.
 */
#include "vsock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
  /* Chunks looked at for one writev(); a longer queue takes several. */
  CHUNKS = 64,
  /* A virtio port takes at most this much a write (port_fops_write in drivers/char/virtio_console.c). */
  GATHERED = 32 * 1024,
};

/* Makes a descriptor non-blocking, and says of what kind it is: its S_IFMT bits. */
napi_value stream_open(napi_env env, napi_callback_info info) {
  napi_value argument;
  int fd;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &fd)) return NULL;
  struct stat status;
  if (fstat(fd, &status) < 0) return throw_errno(env, errno, "fstat", NULL);
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0))
    return throw_errno(env, errno, "fcntl", NULL);
  return make_int(env, status.st_mode & S_IFMT);
}

napi_value stream_is_terminal(napi_env env, napi_callback_info info) {
  napi_value argument;
  int fd;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &fd)) return NULL;
  return make_int(env, isatty(fd));
}

napi_value stream_read(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  int fd;
  void *data;
  size_t size;
  uint32_t offset, length;
  if (!read_arguments(env, info, 4, arguments) || !read_int(env, arguments[0], &fd) ||
      !read_bytes(env, arguments[1], &data, &size) || !read_uint32(env, arguments[2], &offset) ||
      !read_uint32(env, arguments[3], &length))
    return NULL;
  if (offset > size || length > size - offset) return throw_errno(env, EINVAL, "read", NULL);
  size_t total = 0;
  /* A virtio port hands out one page a read(), a terminal one line: go on until there is no more, so that JavaScript is
     entered once for many of them. That also finds an end of file that came with the last bytes, of which there is no
     further edge. */
  while (total < length) {
    ssize_t count = read(fd, (char *)data + offset + total, length - total);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && total == 0) return make_int(env, -errno);
    if (count <= 0) break;
    total += (size_t)count;
  }
  return make_int(env, (int64_t)total);
}

static ssize_t write_gathered(int fd, const struct iovec *chunks, size_t count) {
  char data[GATHERED];
  size_t total = 0, size = 0, used = 0;
  for (size_t i = 0; i < count;) {
    size_t room = sizeof data - size;
    size_t part = chunks[i].iov_len - used < room ? chunks[i].iov_len - used : room;
    memcpy(data + size, (const char *)chunks[i].iov_base + used, part);
    size += part;
    used += part;
    if (used == chunks[i].iov_len) {
      i++;
      used = 0;
    }
    if (size < sizeof data && i < count) continue;
    for (size_t sent = 0; sent < size;) {
      ssize_t written = write(fd, data + sent, size - sent);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return total + sent > 0 ? (ssize_t)(total + sent) : written;
      sent += (size_t)written;
    }
    total += size;
    size = 0;
  }
  return (ssize_t)total;
}

/* write(fd, chunks, offset into the first of them, gather): how many bytes were taken, or a negative errno. */
napi_value stream_write(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  int fd;
  uint32_t offset, count;
  bool gather;
  if (!read_arguments(env, info, 4, arguments) || !read_int(env, arguments[0], &fd) ||
      !read_uint32(env, arguments[2], &offset))
    return NULL;
  if (napi_get_array_length(env, arguments[1], &count) != napi_ok ||
      napi_get_value_bool(env, arguments[3], &gather) != napi_ok)
    return throw_errno(env, EINVAL, "write", NULL);
  struct iovec chunks[CHUNKS];
  if (count > CHUNKS) count = CHUNKS;
  for (uint32_t i = 0; i < count; i++) {
    napi_value chunk;
    if (napi_get_element(env, arguments[1], i, &chunk) != napi_ok ||
        !read_bytes(env, chunk, &chunks[i].iov_base, &chunks[i].iov_len))
      return NULL;
  }
  if (count == 0 || offset > chunks[0].iov_len) return throw_errno(env, EINVAL, "write", NULL);
  chunks[0].iov_base = (char *)chunks[0].iov_base + offset;
  chunks[0].iov_len -= offset;
  ssize_t written;
  if (gather) {
    written = write_gathered(fd, chunks, count);
  } else {
    do written = writev(fd, chunks, (int)count);
    while (written < 0 && errno == EINTR);
  }
  return make_int(env, written < 0 ? -errno : written);
}

/* Ends the sending half of a socket. */
napi_value stream_shutdown(napi_env env, napi_callback_info info) {
  napi_value argument;
  int fd;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &fd)) return NULL;
  /* A peer that has gone already needs no telling. */
  if (shutdown(fd, SHUT_WR) < 0 && errno != ENOTCONN) return throw_errno(env, errno, "shutdown", NULL);
  return make_undefined(env);
}

/* error(errno, syscall, subject or undefined): the Error for an errno that one of the calls here returned. */
napi_value stream_error(napi_env env, napi_callback_info info) {
  napi_value arguments[3], result = NULL;
  int error;
  char *syscall = NULL, *subject = NULL;
  if (!read_arguments(env, info, 3, arguments) || !read_int(env, arguments[0], &error)) return NULL;
  if (read_string(env, arguments[1], false, &syscall) && read_string(env, arguments[2], true, &subject))
    result = make_error(env, error, syscall, subject);
  free(syscall);
  free(subject);
  return result;
}
