/*
 * Files without a name: open(2), O_TMPFILE. Virtiofsd opens what it makes by a name, and then looks that up; native/vhost-proxy has made
 * a request of the first kind of what it would not know. O_TMPFILE and O_CREAT together are refused by the kernel, so nothing else has them.
 */
#include "../share.h"
#include "share-rights.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* The file that this thread has made last, until it is looked up; -1. */
static _Thread_local int made = -1;

static void let_go(void) {
  int error = errno;
  if (made >= 0) close(made);
  made = -1;
  errno = error;
}

static int make_temporary(int folder, int flags, mode_t mode, open_at next) {
  let_go();
  /* The guest's kernel knows which may not have a name later (O_EXCL). */
  int fd = next(folder, ".", flags & ~(O_CREAT | O_EXCL | O_NOFOLLOW), mode);
  if (fd < 0) return -1;
  made = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (made >= 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

int open_maybe_temporary(int folder, const char *name, int flags, mode_t mode, open_at next) {
  if ((flags & O_TMPFILE) == O_TMPFILE && (flags & O_CREAT) != 0) return make_temporary(folder, flags, mode, next);
  if (made < 0) return next(folder, name, flags, mode);
  if ((flags & O_PATH) != 0 && strcmp(name, TEMPORARY_NAME) == 0) {
    int fd = made;
    made = -1;
    return fd;
  }
  let_go();
  return next(folder, name, flags, mode);
}

/* What openat2(2) has beyond openat(2), and how it is called. */
static _Thread_local uint64_t resolve;
static _Thread_local system_call call;

static int open_at_2(int folder, const char *name, int flags, ...) {
  va_list given;
  va_start(given, flags);
  mode_t mode = va_arg(given, mode_t);
  va_end(given);
  struct open_how how = {.flags = (unsigned int)flags, .resolve = resolve};
  /* It refuses a mode where nothing is made. */
  if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) how.mode = mode;
  return (int)call(SYS_openat2, folder, name, &how, sizeof how);
}

long open_maybe_temporary_2(int folder, const char *name, const void *given, system_call next) {
  struct open_how how;
  memcpy(&how, given, sizeof how);
  resolve = how.resolve;
  call = next;
  return open_maybe_temporary(folder, name, (int)how.flags, (mode_t)how.mode, open_at_2);
}

static mode_t mode_of(int flags, va_list given) {
  return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(given, mode_t) : 0;
}

/* By both names that the C library has for it: virtiofsd in C calls the one, that in Rust the other. */
#define INTERPOSE_OPEN_AT(symbol)                                                             \
  INTERPOSED int symbol(int folder, const char *name, int flags, ...) {                       \
    static open_at next;                                                                      \
    if (next == NULL) next = (open_at)dlsym(RTLD_NEXT, #symbol);                              \
    va_list given;                                                                            \
    va_start(given, flags);                                                                   \
    mode_t mode = mode_of(flags, given);                                                      \
    va_end(given);                                                                            \
    return open_maybe_temporary(folder, name, flags, mode, next);                             \
  }

INTERPOSE_OPEN_AT(openat)
INTERPOSE_OPEN_AT(openat64)
