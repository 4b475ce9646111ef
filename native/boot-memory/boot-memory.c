/*
 * Preloaded into a QEMU that boots a guest (ld.so(8), LD_PRELOAD). CAISSON_BOOT_MEMORY=RAM:BUFFER:CODE:START+LENGTH,... in the environment, all in
 * MiB: the sizes of guest RAM and of an emulator's buffer for code, how much of the buffer is used when the guest is up, and the parts of its RAM
 * that it has touched then.
 *
 * Without it the guest's processor, the one thread that is busy all the time, waits at the first touch of each page for the host to find and clear
 * one: 40,000 times. A thread of this library's has the host do so ahead of it, on another processor.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define INTERPOSED __attribute__((visibility("default")))
/* Since Linux 5.14; before, nothing is done ahead. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#define MIB ((size_t)1 << 20)
/* A page fault of another thread's waits for one step at most. */
#define STEP (2 * MIB)
/* QEMU copies the kernel into its place meanwhile, for which it needs the same locks and processors' caches. */
#define DELAY_NS 100000000

static const char *parts;
static size_t ram_length, buffer_length, code_length;
static char *ram, *code;

__attribute__((constructor)) static void begin(void) {
  const char *described = getenv("CAISSON_BOOT_MEMORY");
  unsigned long ram_mib, buffer_mib, code_mib;
  int read;
  if (described == NULL || sscanf(described, "%lu:%lu:%lu:%n", &ram_mib, &buffer_mib, &code_mib, &read) != 3) return;
  ram_length = ram_mib * MIB;
  buffer_length = buffer_mib * MIB;
  code_length = code_mib * MIB;
  parts = described + read;
}

/* Pages that nobody may write to, by which QEMU parts its code, are left out. */
static void populate(char *start, size_t length) {
  for (char *at = start; at < start + length; at += STEP) (void)madvise(at, STEP, MADV_POPULATE_WRITE);
}

static void *work(void *unused) {
  unsigned long start, length;
  int read;
  nanosleep(&(struct timespec){.tv_nsec = DELAY_NS}, NULL);
  for (const char *part = parts; sscanf(part, "%lu+%lu%n", &start, &length, &read) == 2; part += read + (part[read] == ','))
    populate(ram + start * MIB, length * MIB);
  if (code != NULL) populate(code, code_length);
  return unused;
}

/* Signals are for QEMU's threads. Should there be no thread, the guest touches its memory first. */
static void start(void) {
  sigset_t all, before;
  pthread_t thread;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  if (pthread_create(&thread, NULL, work, NULL) == 0) pthread_detach(thread);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* QEMU has the emulator's buffer before it has the guest's RAM. For both it takes addresses without access first, and the buffer becomes accessible in place. */
INTERPOSED void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset) {
  void *mapping = (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
  if (mapping == MAP_FAILED || parts == NULL || ram != NULL) return mapping;
  if (protection == PROT_NONE && length == buffer_length) code = mapping;
  if ((protection & PROT_WRITE) != 0 && length == ram_length) {
    ram = mapping;
    start();
  }
  return mapping;
}
