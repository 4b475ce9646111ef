/*
 * Starts a program, a QEMU, where it finds nothing but what it needs:
 *
 *   jail [--uid UID] [--keep CAPABILITY]... [--show PATH]... [--device PATH]... [--descriptors COUNT] [--with-parent]
 *        [--locked-memory BYTES] -- PROGRAM [ARGUMENT]...
 *
 * --uid UID      the user and the group that it runs as
 * --keep NUMBER  a capability that it has, and that the bounding set keeps (linux/capability.h); no other one is left
 * --show PATH    a file, or a directory without what is mounted below it, that it sees at its own path, read-only
 * --device PATH  a device of the host's that it may use; it belongs to UID
 * --descriptors COUNT  how many descriptors it is given, from 0 on; no other one stays open (3 unless told)
 * --locked-memory BYTES  how much memory it may lock, for a device to reach it; unless told, as much as the caller
 * --with-parent  it is killed when the process that started it ends
 *
 * It has mount, IPC, UTS, cgroup and network namespaces of its own, a read-only root file system with what is shown and
 * a /proc of processes only, no supplementary groups, no keyring of the caller's, no core dumps, no_new_privs. It has a
 * pid namespace of its own if whoever starts it has called unshare(2) with CLONE_NEWPID.
 * A descriptor of a directory would lead out of it all ("..").
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

enum { SHOWN = 96, DEVICES = 24 };

struct plan {
  uid_t uid;
  /* Bits by the capabilities' numbers. */
  unsigned long long kept;
  const char *shown[SHOWN];
  int shown_count;
  const char *devices[DEVICES];
  int device_count;
  unsigned int descriptors;
  unsigned long locked_memory;
  bool with_parent;
  char **program;
};

/* main.c: says what cannot be done, to which file if any, and why (errno), and ends the process. */
void fail(const char *doing, const char *path) __attribute__((noreturn));

/* root.c: leaves the caller's namespaces but the pid namespace, and all of its file systems. */
void enter_root(const struct plan *plan);

/* rights.c: gives up all that is not in the plan. */
void drop_rights(const struct plan *plan);
