/* Preloaded into virtiofsd: what its functions have in common. */
#pragma once

/* What the library puts in the place of another one's. */
#define INTERPOSED __attribute__((visibility("default")))

/* syncfs(2), or what stands for it. */
typedef int (*flush)(int fd);
/* sync.c: flushes each joined file system in the share, by `next`. 0, or -1 with errno when one could not be flushed. */
int flush_joined_file_systems(int share, flush next);
