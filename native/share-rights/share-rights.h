/* Preloaded into virtiofsd: what its functions have in common. */
#pragma once

/* What the library puts in the place of another one's. */
#define INTERPOSED __attribute__((visibility("default")))

/* syscall(2). */
typedef long (*system_call)(long number, ...);
/* openat(2). */
typedef int (*open_at)(int folder, const char *name, int flags, ...);
/* temporary.c: what openat(2) is to do in virtiofsd, by `next`. */
int open_maybe_temporary(int folder, const char *name, int flags, unsigned int mode, open_at next);
/* The same for openat2(2), whose arguments these are. */
long open_maybe_temporary_2(int folder, const char *name, const void *how, system_call next);

/* syncfs(2), or what stands for it. */
typedef int (*flush)(int fd);
/* sync.c: flushes each joined file system in the share, by `next`. 0, or -1 with errno when one could not be flushed. */
int flush_joined_file_systems(int share, flush next);
