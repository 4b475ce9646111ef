/* The functions of the C library, libseccomp and liburing that QEMU is to call here (ld.so(8), LD_PRELOAD). */
#include "fork-server.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INTERPOSED __attribute__((visibility("default")))

/* QEMU keeps guest memory from children (MADV_DONTFORK), for KVM's sake, which has no part in this. */
INTERPOSED int madvise(void *address, size_t length, int advice) {
  if (advice == MADV_DONTFORK) return 0;
  return (int)syscall(SYS_madvise, address, length, advice);
}

/* liburing's. A ring is one process's; QEMU, which has one for its main loop (seen with 11.1; 10.0 has not), does without where the host allows none. */
INTERPOSED int io_uring_queue_init(unsigned int entries, void *ring, unsigned int flags) {
  (void)entries, (void)ring, (void)flags;
  return -ENOSYS;
}

static struct sock_fprog filter;

/* QEMU's filter refuses fork(2). It is kept for the copies, which load it before anything of them runs. */
INTERPOSED int seccomp_load(void *context) {
  int (*export)(void *, int) = (int (*)(void *, int))dlsym(RTLD_DEFAULT, "seccomp_export_bpf");
  int file = memfd_create("filter", MFD_CLOEXEC);
  struct stat status;
  int result = -EOPNOTSUPP;
  if (export != NULL && file >= 0 && export(context, file) == 0 && fstat(file, &status) == 0) {
    size_t bytes = (size_t)status.st_size;
    free(filter.filter);
    filter.filter = malloc(bytes);
    filter.len = (unsigned short)(bytes / sizeof *filter.filter);
    if (filter.filter != NULL && pread(file, filter.filter, bytes, 0) == (ssize_t)bytes) result = 0;
  }
  if (file >= 0) close(file);
  return result;
}

bool load_filter(void) {
  if (filter.filter == NULL) return refused("QEMU has no system call filter");
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0) return failed("load the system call filter");
  return true;
}

/* What QEMU has set on its taps: nothing tells it afterwards. By the descriptors' numbers. */
enum { TAPS = 64 };
static struct {
  int fd;
  int header_size, little_endian;
  unsigned long offload;
  bool has_header_size, has_little_endian, has_offload;
} taps[TAPS];
static int tap_count;

static void remember(int fd, unsigned long request, void *argument) {
  if (request != TUNSETOFFLOAD && request != TUNSETVNETHDRSZ && request != TUNSETVNETLE) return;
  int tap = 0;
  while (tap < tap_count && taps[tap].fd != fd) tap++;
  if (tap == TAPS) return;
  if (tap == tap_count) taps[tap_count++].fd = fd;
  if (request == TUNSETOFFLOAD) {
    taps[tap].offload = (unsigned long)argument;
    taps[tap].has_offload = true;
  } else if (request == TUNSETVNETHDRSZ) {
    taps[tap].header_size = *(int *)argument;
    taps[tap].has_header_size = true;
  } else {
    taps[tap].little_endian = *(int *)argument;
    taps[tap].has_little_endian = true;
  }
}

INTERPOSED int ioctl(int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void *argument = va_arg(arguments, void *);
  va_end(arguments);
  int result = (int)syscall(SYS_ioctl, fd, request, argument);
  if (result == 0) remember(fd, request, argument);
  return result;
}

bool repeat_tap_settings(int fd) {
  for (int tap = 0; tap < tap_count; tap++) {
    if (taps[tap].fd != fd) continue;
    if ((taps[tap].has_header_size && syscall(SYS_ioctl, fd, TUNSETVNETHDRSZ, &taps[tap].header_size) < 0) ||
        (taps[tap].has_little_endian && syscall(SYS_ioctl, fd, TUNSETVNETLE, &taps[tap].little_endian) < 0) ||
        (taps[tap].has_offload && syscall(SYS_ioctl, fd, TUNSETOFFLOAD, taps[tap].offload) < 0))
      return failed("set up a tap");
  }
  return true;
}
