/* Descriptors in the places of others. */
#ifndef CAISSON_PLACE_H
#define CAISSON_PLACE_H

#include <sys/syscall.h>
#include <unistd.h>

/*
 * dup3(2), or with no flags dup2(2): 0, or -1 and errno. Not by the C library's functions: GCC's analyzer (13, 14) takes what they
 * return for one more descriptor, which nobody closes.
 */
static inline int put_in_place(int fd, int target, int flags) {
  long result = flags == 0 ? syscall(SYS_dup2, fd, target) : syscall(SYS_dup3, fd, target, flags);
  return result < 0 ? -1 : 0;
}

#endif
