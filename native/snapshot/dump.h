#ifndef DUMP_H
#define DUMP_H

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#include "snapshot.h"

static inline bool fail(int error) {
  errno = error;
  return false;
}

/* Closes what was worked with, and leaves errno to what failed before. @returns whether nothing has. */
static inline bool close_after(int file, bool done) {
  int error = errno;
  close(file);
  errno = error;
  return done;
}

/* Returns 0, and once more 1 in each process that is restored. */
int save_context(struct context *context) __attribute__((returns_twice));

/* Each of these returns false with errno set. */
bool read_state(struct snapshot *snapshot);
/* Those from a first number on, but for one. */
bool read_descriptors(struct snapshot *snapshot, int first, int except);

bool leave_all_to_forks(void);

/* Lists the memory in the snapshot, which is left out itself, and writes what no file has. */
bool write_memory(struct snapshot *snapshot, int to);

#endif
