/*
 * Maps memory as QEMU does, 64 MiB of RAM and a buffer of 32 MiB whose last page of each 8 MiB nobody may write to, touches none of it, and says
 * when both have as many resident pages as there are MiB in its arguments: boot-memory-trial RAM BUFFER.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define RAM (64 * MIB)
#define BUFFER (32 * MIB)
#define REGION (8 * MIB)
#define PAGE ((size_t)4096)
#define TRIES 500
/* The library has begun by then. */
#define FIRST_NS 150000000

static size_t resident(void *start, size_t length) {
  static unsigned char pages[RAM / PAGE];
  size_t count = 0;
  if (mincore(start, length, pages) < 0) return 0;
  for (size_t page = 0; page < length / PAGE; page++) count += pages[page] & 1;
  return count;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  size_t ram_pages = strtoul(argv[1], NULL, 10) * (MIB / PAGE);
  size_t buffer_pages = strtoul(argv[2], NULL, 10) * (MIB / PAGE);
  char *buffer = mmap(NULL, BUFFER, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int fd = memfd_create("ram", MFD_CLOEXEC);
  if (buffer == MAP_FAILED || fd < 0 || ftruncate(fd, RAM) < 0) return 2;
  char *ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (ram == MAP_FAILED) return 2;
  for (char *region = buffer; region < buffer + BUFFER; region += REGION)
    if (mprotect(region, REGION - PAGE, PROT_READ | PROT_WRITE) < 0) return 2;
  /* One page of each region is not there. */
  buffer_pages -= buffer_pages * PAGE / REGION;
  bool done = false;
  nanosleep(&(struct timespec){.tv_nsec = FIRST_NS}, NULL);
  for (int tries = 0; !done && tries < TRIES; tries++) {
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    done = resident(ram, RAM) == ram_pages && resident(buffer, BUFFER) == buffer_pages;
  }
  printf("ram %zu, buffer %zu pages\n", resident(ram, RAM), resident(buffer, BUFFER));
  return done ? 0 : 1;
}
