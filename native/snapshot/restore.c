/*
 * Becomes a process that has been written to a snapshot; whatever is against it, it becomes the program that follows instead.
 * usage: restore SNAPSHOT PROGRAM [WORD...]
 */
#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rseq.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "snapshot.h"

enum { RSEQ_LEAST = 32, RSEQ_MOST = 256 };

static struct restored restored;

static bool is_same_file(int file, const struct mapped_file *as) {
  struct stat facts;
  return fstat(file, &facts) == 0 && facts.st_dev == as->device && facts.st_ino == as->inode && (uint64_t)facts.st_size == as->size &&
         (uint64_t)facts.st_mtim.tv_sec == as->seconds && (uint64_t)facts.st_mtim.tv_nsec == as->nanoseconds;
}

/* Where one has gone or was replaced the snapshot will never be of use again, and goes: a new one is made where there is none. */
static bool open_files(const struct snapshot *snapshot, int *files, const char *path) {
  for (uint32_t at = 0; at < snapshot->files; at++) {
    files[at] = open(snapshot->file[at].path, O_RDONLY | O_CLOEXEC);
    /* Others may have more descriptors, and more rights. */
    if (files[at] < 0 && errno != ENOENT) return false;
    if (files[at] >= 0 && is_same_file(files[at], &snapshot->file[at])) continue;
    unlink(path);
    return false;
  }
  return true;
}

static bool is_of_this_boot(const struct snapshot *snapshot) {
  char boot[BOOT_ID];
  int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  bool same = file >= 0 && read(file, boot, BOOT_ID) == BOOT_ID && memcmp(boot, snapshot->boot, BOOT_ID) == 0;
  close(file);
  return same;
}

/* Only what we have written ourselves is to be executed; what others have put there must not keep us waiting, either. */
static const struct snapshot *open_snapshot(const char *path, int *file) {
  struct stat facts;
  *file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (*file < 0 || fstat(*file, &facts) < 0 || facts.st_uid != geteuid() || (facts.st_mode & 077) != 0 ||
      facts.st_size < (off_t)sizeof(struct snapshot))
    return NULL;
  const struct snapshot *snapshot = mmap(NULL, sizeof *snapshot, PROT_READ, MAP_PRIVATE, *file, 0);
  bool fits = snapshot != MAP_FAILED && memcmp(snapshot->magic, MAGIC, sizeof MAGIC) == 0 && snapshot->version == SNAPSHOT_VERSION &&
              snapshot->size == sizeof *snapshot && snapshot->regions <= MAX_REGIONS && snapshot->files <= MAX_FILES && snapshot->pipes <= MAX_PIPES &&
              snapshot->descriptors <= MAX_DESCRIPTORS && is_of_this_boot(snapshot);
  return fits ? snapshot : NULL;
}

/* The place must be free of what this program has, which is never the case twice in the same way. */
static bool map_base(const struct region *region, const int *files) {
  bool of_file = region->content == FILE_PAGES;
  int protection = region->content == KERNEL_PAGES ? PROT_NONE : (int)region->protection;
  int flags = MAP_PRIVATE | MAP_FIXED_NOREPLACE | (of_file ? 0 : MAP_ANONYMOUS | MAP_NORESERVE);
  void *start = (void *)region->start;
  return mmap(start, region->end - region->start, protection, flags, of_file ? files[region->file] : -1,
              of_file ? (off_t)region->offset : 0) == start;
}

/* Code is copied: what the snapshot is on may be no place to execute from. */
static bool map_pages(const struct region *region, int snapshot) {
  void *start = (void *)region->start;
  size_t length = region->end - region->start;
  if ((region->protection & PROT_EXEC) == 0)
    return mmap(start, length, (int)region->protection, MAP_PRIVATE | MAP_FIXED, snapshot, (off_t)region->offset) == start;
  return mprotect(start, length, PROT_READ | PROT_WRITE) == 0 && pread(snapshot, start, length, (off_t)region->offset) == (ssize_t)length &&
         mprotect(start, length, (int)region->protection) == 0;
}

static bool map_memory(const struct snapshot *snapshot, int file, const int *files) {
  for (uint32_t at = 0; at < snapshot->regions; at++) {
    const struct region *region = &snapshot->region[at];
    if (region->content == OWN_PAGES ? !map_pages(region, file) : !map_base(region, files)) return false;
  }
  return true;
}

/*
 * Moves what the kernel has mapped for this program, its [vdso] and [vvar], to where the other one had it, the first to the first: the C
 * library has kept addresses within. The lines of /proc/self/maps are explained in memory.c.
 */
static bool move_kernel_pages(const struct snapshot *snapshot) {
  FILE *maps = fopen("/proc/self/maps", "re");
  if (maps == NULL) return false;
  struct {
    uint64_t start, end;
  } own[8];
  size_t count = 0;
  for (char line[1024]; fgets(line, sizeof line, maps) != NULL;) {
    if (strstr(line, " [v") == NULL || strstr(line, "[vsyscall]") != NULL || count == 8) continue;
    if (sscanf(line, "%lx-%lx", &own[count].start, &own[count].end) == 2) count++;
  }
  fclose(maps);
  size_t next = 0;
  for (uint32_t at = 0; at < snapshot->regions; at++) {
    const struct region *region = &snapshot->region[at];
    if (region->content != KERNEL_PAGES) continue;
    size_t length = region->end - region->start;
    if (next == count || own[next].end - own[next].start != length) return false;
    void *to = (void *)region->start;
    if (mremap((void *)own[next].start, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to) return false;
    next++;
  }
  return next == count;
}

static bool make_pipe(const struct pipe_ends *as) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return false;
  bool made = dup3(ends[0], as->reading, O_CLOEXEC) >= 0 && dup3(ends[1], as->writing, O_CLOEXEC) >= 0 &&
              write(as->writing, as->bytes, as->count) == (ssize_t)as->count;
  close(ends[0]);
  close(ends[1]);
  return made;
}

/* libuv closes those numbers, and makes others of its own. One that is in use here is the starter's, and must not be closed. */
static bool take_descriptors(const struct snapshot *snapshot) {
  int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing < 0) return false;
  for (uint32_t at = 0; at < snapshot->descriptors; at++)
    if (fcntl(snapshot->descriptor[at], F_GETFD) >= 0 && snapshot->descriptor[at] != nothing) return false;
  for (uint32_t at = 0; at < snapshot->descriptors; at++)
    if (snapshot->descriptor[at] != nothing && dup3(nothing, snapshot->descriptor[at], O_CLOEXEC) < 0) return false;
  for (uint32_t at = 0; at < snapshot->pipes; at++)
    if (!make_pipe(&snapshot->pipe[at])) return false;
  return true;
}

static bool leave_rseq(void) {
  if (__rseq_size == 0) return true;
  void *area = (char *)__builtin_thread_pointer() + __rseq_offset;
  for (unsigned length = RSEQ_LEAST; length <= RSEQ_MOST; length += RSEQ_LEAST)
    if (syscall(SYS_rseq, area, length, RSEQ_FLAG_UNREGISTER, RSEQ_SIG) == 0) return true;
  return false;
}

/* From here on nothing of the C library may be used that needs a thread. */
static _Noreturn void go_on(const struct snapshot *snapshot) {
  struct context context = snapshot->context;
  uint64_t thread = snapshot->thread;
  __asm__ volatile("mov %0, %%rbx\n"
                   "mov $158, %%eax\n" /* arch_prctl */
                   "mov %1, %%edi\n"
                   "mov %2, %%rsi\n"
                   "syscall\n"
                   "mov %%rbx, %%rdi\n"
                   "mov 0(%%rdi), %%rbx\n"
                   "mov 8(%%rdi), %%rbp\n"
                   "mov 16(%%rdi), %%r12\n"
                   "mov 24(%%rdi), %%r13\n"
                   "mov 32(%%rdi), %%r14\n"
                   "mov 40(%%rdi), %%r15\n"
                   "mov 48(%%rdi), %%rsp\n"
                   "mov $1, %%eax\n"
                   "jmp *56(%%rdi)\n"
                   :
                   : "r"(&context), "i"(ARCH_SET_FS), "r"(thread)
                   : "rax", "rbx", "rdi", "rsi", "rcx", "r11", "memory");
  __builtin_unreachable();
}

/* As Node.js has it at a start: none of what is opened gets the number of a standard stream. */
static bool have_streams(void) {
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++)
    if (fcntl(stream, F_GETFD) < 0 && open("/dev/null", O_RDWR) != stream) return false;
  return true;
}

/* As Node.js does at a start. */
static void raise_descriptors(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) < 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

static void restore(const char *path, char **words) {
  int file, files[MAX_FILES];
  if (!have_streams()) return;
  raise_descriptors();
  const struct snapshot *snapshot = open_snapshot(path, &file);
  if (snapshot == NULL || !open_files(snapshot, files, path)) return;
  if (!map_memory(snapshot, file, files)) return;
  for (uint32_t at = 0; at < snapshot->files; at++) close(files[at]);
  close(file);
  if (!take_descriptors(snapshot) || !move_kernel_pages(snapshot) || !leave_rseq()) return;
  if (snapshot->rseq != 0 && syscall(SYS_rseq, snapshot->rseq, RSEQ_LEAST, 0, RSEQ_SIG) < 0) return;
  for (int signal = 1; signal <= SIGNALS; signal++)
    if (signal != SIGKILL && signal != SIGSTOP) syscall(SYS_rt_sigaction, signal, &snapshot->actions[signal - 1], NULL, sizeof(uint64_t));
  prctl(PR_SET_NAME, snapshot->name);
  *(int *)snapshot->thread_id = (int)syscall(SYS_gettid);
  syscall(SYS_set_tid_address, snapshot->thread_id);
  syscall(SYS_set_robust_list, snapshot->robust_list, sizeof(uint64_t) * 3);
  /* Its heap goes on in ours, which must be behind it. */
  *(uint64_t *)snapshot->heap_end = (uint64_t)sbrk(0);
  restored = (struct restored){.words = words, .environment = environ};
  *(struct restored **)snapshot->restored = &restored;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &snapshot->mask, NULL, sizeof(uint64_t));
  go_on(snapshot);
}

int main(int argc, char **arguments) {
  if (argc < 3) {
    fprintf(stderr, "usage: restore SNAPSHOT PROGRAM [WORD...]\n");
    return 125;
  }
  restore(arguments[1], arguments + 2);
  execv(arguments[2], arguments + 2);
  perror(arguments[2]);
  return 127;
}
