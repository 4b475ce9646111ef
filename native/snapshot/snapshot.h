/*
 * A process of Node.js that has been written to a file (dump.c), so that others begin where it was (restore.c). Both are for one boot of one
 * machine, and for the files that the process had mapped.
 */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include <stdint.h>

enum { SNAPSHOT_VERSION = 1, MAX_REGIONS = 4096, MAX_FILES = 64, MAX_PIPES = 16, MAX_DESCRIPTORS = 64, SIGNALS = 64, BOOT_ID = 36, PAGE = 4096 };
static const char MAGIC[8] = "caissonP";

/* What a region is filled with first: KERNEL_PAGES are those that the kernel maps for each process (memory.c). Pages of its own follow in the snapshot. */
enum content { ZEROS, FILE_PAGES, OWN_PAGES, KERNEL_PAGES };

struct region {
  uint64_t start, end;
  /* In the file or in the snapshot. */
  uint64_t offset;
  uint32_t protection, flags;
  uint32_t content;
  /* Of a region of a file's: its number. */
  uint32_t file;
};

struct mapped_file {
  uint64_t device, inode, size, seconds, nanoseconds;
  char path[512];
};

/* As the kernel takes it. */
struct kernel_action {
  uint64_t handler, flags, restorer, mask;
};

/* What a called function keeps: rbx, rbp, r12 to r15, then the stack and the return address. */
struct context {
  uint64_t registers[6], stack, address;
};

struct pipe_ends {
  int32_t reading, writing;
  /* Bytes in it, all of them alike in libuv's. */
  uint32_t count;
  uint8_t bytes[16];
};

struct snapshot {
  char magic[8];
  uint32_t version, size;
  char boot[BOOT_ID];
  char name[16];
  struct context context;
  uint64_t thread, thread_id, robust_list, rseq, mask;
  /* Where the C library keeps the end of its heap. */
  uint64_t heap_end;
  /* Where whoever restores it leaves the address of its words and of its environment. */
  uint64_t restored;
  uint32_t regions, files, pipes, descriptors;
  int32_t descriptor[MAX_DESCRIPTORS];
  struct pipe_ends pipe[MAX_PIPES];
  struct kernel_action actions[SIGNALS];
  struct mapped_file file[MAX_FILES];
  struct region region[MAX_REGIONS];
};

/* What a restored process is told; NULL while it is the one that writes the snapshot. */
struct restored {
  char **words;
  char **environment;
};

#endif
