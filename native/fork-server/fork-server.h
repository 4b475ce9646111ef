/*
 * Preloaded into a QEMU (ld.so(8), LD_PRELOAD) whose guest is stopped: makes it fork for each sandbox. QEMU's
 * translations of the guest's code, which no saved VM has, are then there already, and shared.
 *
 * fork(2) copies the calling thread only. So a thread of ours calls it while all others sit in a signal handler, and
 * starts them anew in the copy, on the stacks and with the registers that they had (clone(2), setcontext(3)).
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

enum { PROBLEM_BYTES = 256 };

/* errors.c: what a request, or a fork, failed for: for whoever asked. Both return false. */
bool failed(const char *doing);
bool refused(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *last_problem(void);

/*
 * processes.c: the server's own /proc, which no copy is to find. While there is a path to it each copy has to take that away, and waits in the
 * kernel for all processors; so the thread that forks has it by a descriptor alone.
 */
bool take_processes(void);
/* Opens a file of this process's ("task") in it; -1 when it cannot. */
int open_own(const char *name, int flags);
/* In the copy: gives it up, and mounts a /proc that shows nothing but the copy. */
bool replace_processes(void);

/*
 * threads.c: stops all threads but the calling one; false when one is at work, and cannot be.
 * Each must be waiting in one of the kernel's calls that wait for events: then none holds a lock of the C library's.
 */
bool stop_threads(void);
/* In the process that was forked: they go on. */
void continue_threads(void);
/* In the copy: they begin where they were stopped. */
bool restart_threads(void);

/* descriptors.c: whether a copy can have descriptors of its own in place of all that it must not share. */
bool can_fork_descriptors(void);
/* In the copy: event descriptors of its own. */
bool renew_events(void);
/* In the copy: `fd` in place of `target`, with the settings that QEMU has given to that one. */
bool replace_descriptor(int fd, int target);

/* rights.c: in the copy: becomes this user in its own namespaces, with no capability left. */
bool drop_rights(uid_t uid);

/* memory.c: puts what it can of the memory into large pages. */
void gather_memory(void);

/* interposed.c: loads the system call filter that QEMU wanted before it forked. */
bool load_filter(void);
/* Makes the settings that QEMU has made on this descriptor, a tap, again. */
bool repeat_tap_settings(int fd);
