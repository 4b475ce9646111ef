#include "fork-server.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../place.h"

/* What the kernel calls descriptors that have no file (proc(5), /proc/PID/fd). */
static const char ANONYMOUS[] = "anon_inode:";
static const char EVENT[] = "anon_inode:[eventfd]";
/* An empty one is as good as another; a read of a signal descriptor is of the reader's own signals; a process stays
 * what it is. */
static const char *const SHARED[] = {"anon_inode:[eventpoll]", "anon_inode:[signalfd]", "anon_inode:[pidfd]"};

/* Calls `visit` with each descriptor and what it is of, until it returns false. */
static bool visit_descriptors(bool (*visit)(int fd, const char *of)) {
  DIR *directory = fdopendir(open_own("fd", O_RDONLY | O_DIRECTORY));
  if (directory == NULL) return failed("list the descriptors");
  bool good = true;
  for (struct dirent *entry; good && (entry = readdir(directory)) != NULL;) {
    char of[64];
    ssize_t length = readlinkat(dirfd(directory), entry->d_name, of, sizeof of - 1);
    if (length < 0) continue;
    of[length] = '\0';
    good = visit(atoi(entry->d_name), of);
  }
  closedir(directory);
  return good;
}

static bool can_fork(int fd, const char *of) {
  if (strncmp(of, ANONYMOUS, sizeof ANONYMOUS - 1) != 0 || strcmp(of, EVENT) == 0) return true;
  for (size_t kind = 0; kind < sizeof SHARED / sizeof *SHARED; kind++)
    if (strcmp(of, SHARED[kind]) == 0) return true;
  return refused("QEMU's descriptor %d (%s) cannot be had by two processes", fd, of);
}

bool can_fork_descriptors(void) { return visit_descriptors(can_fork); }

/* The descriptor is signalled, which means no more than that somebody looks. */
static bool renew(int fd, const char *of) {
  if (strcmp(of, EVENT) != 0) return true;
  int flags = fcntl(fd, F_GETFL);
  int own = flags < 0 ? -1 : eventfd(1, flags & O_NONBLOCK);
  if (own < 0 || put_in_place(own, fd, O_CLOEXEC) < 0 || close(own) < 0) return failed("make an event descriptor");
  return true;
}

bool renew_events(void) { return visit_descriptors(renew); }

/* A part of the open file, not of its number: where QEMU does not wait for the one it does not wait for the other. */
static bool repeat_nonblocking(int fd, int target) {
  int before = fcntl(target, F_GETFL), flags = fcntl(fd, F_GETFL);
  return before >= 0 && flags >= 0 && fcntl(fd, F_SETFL, flags | (before & O_NONBLOCK)) == 0;
}

bool replace_descriptor(int fd, int target) {
  if (!repeat_nonblocking(fd, target)) return failed("set up a descriptor");
  if (put_in_place(fd, target, O_CLOEXEC) < 0 || close(fd) < 0) return failed("replace a descriptor");
  return repeat_tap_settings(target);
}
