/*
 * Preloaded into a QEMU that is a clone (ld.so(8), LD_PRELOAD). CAISSON_TEMPLATE_MEMORY=FD in the environment names the
 * descriptor of the template's memory, which QEMU is told to map as /proc/self/fd/FD.
 *
 * A tmpfs gives a hole of a file a page of the file's, zeroed, when the hole is read through a mapping, also through a
 * private one, and before a private mapping's first write to it. The template would grow with each clone for as long
 * as it exists. So the holes of QEMU's private mapping are anonymous memory, as they are in a VM that has booted.
 *
 * QEMU tells a vhost-user device only of memory that it takes for a shared mapping (seen with 11.1; 10.0 does not ask). So it is
 * told that the mapping is one, and gets a private one all the same.
 *
 * QEMU opens the file for writing then, and before 8.2 in any case. Here it gets a copy of the descriptor, which is for
 * reading only.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INTERPOSED __attribute__((visibility("default")))

static int memory = -1;
/* A clone's descriptor is for reading only, that of the QEMU which makes the template is not. */
static bool is_clones;
static char memory_path[32];
static struct stat memory_status;
/* Where QEMU has it. */
static char *mapped;
static size_t mapped_length;

__attribute__((constructor)) static void begin(void) {
  const char *descriptor = getenv("CAISSON_TEMPLATE_MEMORY");
  if (descriptor == NULL || sscanf(descriptor, "%d", &memory) != 1) return;
  int flags = fcntl(memory, F_GETFL);
  if (flags < 0 || fstat(memory, &memory_status) < 0) _exit(1);
  is_clones = (flags & O_ACCMODE) == O_RDONLY;
  snprintf(memory_path, sizeof memory_path, "/proc/self/fd/%d", memory);
}

static bool is_template(int fd) {
  struct stat status;
  return memory >= 0 && fstat(fd, &status) == 0 && status.st_dev == memory_status.st_dev &&
         status.st_ino == memory_status.st_ino;
}

/* A private mapping of a file has none either: a clone would take 2 MiB where its guest writes to a page. */
INTERPOSED int madvise(void *address, size_t length, int advice) {
  static int (*next)(void *, size_t, int);
  char *start = address;
  if (advice == MADV_HUGEPAGE && mapped != NULL && start < mapped + mapped_length && mapped < start + length) return 0;
  if (next == NULL) next = (int (*)(void *, size_t, int))dlsym(RTLD_NEXT, "madvise");
  return next(address, length, advice);
}

/*
 * What a clone's guest has no use for any more QEMU discards: it makes a hole in the file, and has the kernel forget the pages of the mapping
 * (ram_block_discard_range()). The file is the template's, and is for reading only: the mapping's part is enough. A page that the template has is that
 * page again then, another one zeros; the guest expects nothing of what it has given back.
 */
INTERPOSED int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
  if ((mode & FALLOC_FL_PUNCH_HOLE) != 0 && mapped != NULL && is_template(fd)) return 0;
  return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

/* Maps anonymous memory over [start, end) of the file, as far as that is in the mapping. */
static bool cover(char *mapping, size_t length, off_t offset, off_t start, off_t end, int protection) {
  if (start < offset) start = offset;
  if (end > offset + (off_t)length) end = offset + (off_t)length;
  if (start >= end) return true;
  void *hole = mapping + (start - offset);
  int anonymous = MAP_NORESERVE | MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  return syscall(SYS_mmap, hole, (size_t)(end - start), protection, anonymous, -1, 0) != -1;
}

/* A file system that knows of no holes says that there are none (lseek(2)). */
static bool cover_holes(char *mapping, size_t length, int protection, int fd, off_t offset) {
  off_t limit = offset + (off_t)length;
  for (off_t at = offset; at < limit;) {
    off_t data = lseek(fd, at, SEEK_DATA);
    if (data < 0 && errno != ENXIO) return false;
    if (!cover(mapping, length, offset, at, data < 0 ? limit : data, protection)) return false;
    if (data < 0) return true;
    at = lseek(fd, data, SEEK_HOLE);
    if (at < 0) return false;
  }
  return true;
}

INTERPOSED void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset) {
  bool is_clone = is_clones && (protection & PROT_WRITE) != 0 && is_template(fd);
  /* Room to grow, most of which no guest uses, does not count as used. */
  if (is_clone) flags = (flags & ~MAP_TYPE) | MAP_PRIVATE | MAP_NORESERVE;
  void *mapping = (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
  if (mapping == MAP_FAILED || !is_clone) return mapping;
  if (cover_holes(mapping, length, protection, fd, offset)) {
    mapped = mapping;
    mapped_length = length;
    return mapping;
  }
  int error = errno;
  munmap(mapping, length);
  errno = error;
  return MAP_FAILED;
}

INTERPOSED int open64(const char *path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & (O_CREAT | __O_TMPFILE)) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    mode = va_arg(arguments, mode_t);
    va_end(arguments);
  }
  if (memory >= 0 && strcmp(path, memory_path) == 0) return fcntl(memory, F_DUPFD_CLOEXEC, 0);
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

/* What the C library's checks make of open64() where it is called without a mode (_FORTIFY_SOURCE). */
INTERPOSED int __open64_2(const char *path, int flags);
INTERPOSED int __open64_2(const char *path, int flags) { return open64(path, flags); }
