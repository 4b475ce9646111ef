/* What the programs have in common that are called as `PROGRAM NODE SCRIPT NAME [WORD...]` and may become Node.js (launch/, shim-start/). */
#ifndef START_NODE_H
#define START_NODE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { NODE = 1, SCRIPT, NAME, WORDS };

enum { LEAST_DESCRIPTORS = 32 };

/* Becomes Node.js with a flag, or NULL, the script, words of ours, which end with NULL, and the rest. Returns where that fails. */
static inline void start_node(char **arguments, const char *flag, const char *const *words, char **rest) {
  size_t own = 0, count = 0;
  while (words[own] != NULL) own++;
  while (rest[count] != NULL) count++;
  /* Without that flag SIGUSR1, which is the container's, would start the debugger. */
  const char *first[] = {arguments[NODE], "--disable-sigusr1", flag, arguments[SCRIPT]};
  const char **line = calloc(sizeof first / sizeof *first + own + count + 1, sizeof *line);
  if (line == NULL) return;
  const char **next = line;
  for (size_t at = 0; at < sizeof first / sizeof *first; at++)
    if (first[at] != NULL) *next++ = first[at];
  memcpy(next, words, own * sizeof *words);
  memcpy(next + own, rest, count * sizeof *rest);
  execv(arguments[NODE], (char *const *)line);
}

/* With fewer Node.js crashes before it runs a line of ours. */
static inline bool has_descriptors(const char *name) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_max >= LEAST_DESCRIPTORS) return true;
  fprintf(stderr, "%s: the limit on open files (ulimit -Hn) is %llu, and at least %d are needed (CAISSON_E_HOST)\n", name,
          (unsigned long long)files.rlim_max, LEAST_DESCRIPTORS);
  return false;
}

#endif
