/* What a process has beside its memory. */
#include <asm/prctl.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rseq.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dump.h"

/* glibc's, since 2.35. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

extern void *__curbrk;

static bool read_boot(struct snapshot *snapshot) {
  int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  return close_after(file, read(file, snapshot->boot, BOOT_ID) == BOOT_ID || fail(EIO));
}

bool read_state(struct snapshot *snapshot) {
  size_t length;
  snapshot->heap_end = (uint64_t)&__curbrk;
  for (int signal = 1; signal <= SIGNALS; signal++)
    if (syscall(SYS_rt_sigaction, signal, NULL, &snapshot->actions[signal - 1], sizeof(uint64_t)) < 0) return false;
  if (&__rseq_size != NULL && __rseq_size > 0) snapshot->rseq = (uint64_t)__builtin_thread_pointer() + (uint64_t)__rseq_offset;
  return read_boot(snapshot) && prctl(PR_GET_NAME, snapshot->name) == 0 && prctl(PR_GET_TID_ADDRESS, &snapshot->thread_id) == 0 &&
         syscall(SYS_arch_prctl, ARCH_GET_FS, &snapshot->thread) == 0 && syscall(SYS_get_robust_list, 0, &snapshot->robust_list, &length) == 0 &&
         syscall(SYS_rt_sigprocmask, 0, NULL, &snapshot->mask, sizeof snapshot->mask) == 0;
}

/* libuv's have a byte, by which they are a lock, or none. */
static bool read_pipe(struct pipe_ends *ends, int fd) {
  int count = 0;
  if (ioctl(fd, FIONREAD, &count) < 0 || count > (int)sizeof ends->bytes) return false;
  ends->reading = fd;
  ends->count = (uint32_t)count;
  if (count == 0) return true;
  return read(fd, ends->bytes, (size_t)count) == count && write(ends->writing, ends->bytes, (size_t)count) == count;
}

/* The pipe that an end of is; NULL when there is no room. */
static struct pipe_ends *pipe_of(struct snapshot *snapshot, ino_t *inodes, ino_t inode) {
  uint32_t at = 0;
  while (at < snapshot->pipes && inodes[at] != inode) at++;
  if (at == MAX_PIPES) return NULL;
  if (at == snapshot->pipes) {
    snapshot->pipes++;
    inodes[at] = inode;
    snapshot->pipe[at] = (struct pipe_ends){.reading = -1, .writing = -1};
  }
  return &snapshot->pipe[at];
}

/* Nobody would be at the other end of a socket. */
static bool add_descriptor(struct snapshot *snapshot, ino_t *inodes, int fd) {
  struct stat facts;
  if (fstat(fd, &facts) < 0 || snapshot->descriptors == MAX_DESCRIPTORS || S_ISSOCK(facts.st_mode)) return false;
  snapshot->descriptor[snapshot->descriptors++] = fd;
  if (!S_ISFIFO(facts.st_mode)) return true;
  struct pipe_ends *ends = pipe_of(snapshot, inodes, facts.st_ino);
  if (ends == NULL) return false;
  if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY) ends->writing = fd;
  else ends->reading = fd;
  return true;
}

bool read_descriptors(struct snapshot *snapshot, int first, int except) {
  ino_t inodes[MAX_PIPES] = {0};
  DIR *directory = opendir("/proc/self/fd");
  if (directory == NULL) return false;
  bool fits = true;
  for (struct dirent *entry; fits && (entry = readdir(directory)) != NULL;) {
    int fd = atoi(entry->d_name);
    if (fd >= first && fd != except && fd != dirfd(directory)) fits = add_descriptor(snapshot, inodes, fd);
  }
  closedir(directory);
  for (uint32_t at = 0; fits && at < snapshot->pipes; at++) {
    struct pipe_ends *ends = &snapshot->pipe[at];
    fits = ends->reading >= 0 && ends->writing >= 0 && read_pipe(ends, ends->reading);
  }
  return fits || fail(EBUSY);
}
