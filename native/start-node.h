/* What the programs have in common that are called as `PROGRAM NODE SCRIPT NAME [WORD...]` and may become Node.js (launch/, shim-start/). */
#ifndef START_NODE_H
#define START_NODE_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NODE = 1, SCRIPT, NAME, WORDS };

static const char *const SNAPSHOTS[] = {"/run/caisson-vm/snapshots", "/dev/shm/caisson-vm/snapshots"};

/* What Node.js does with these at its start a restored process would not; the last is scripts/compile.sh's. */
static const char *const OWN_START[] = {"NODE_OPTIONS", "NODE_DEBUG", "NODE_DEBUG_NATIVE", "NODE_V8_COVERAGE", "CAISSON_COMPILING"};

static inline bool wants_own_start(void) {
  for (size_t at = 0; at < sizeof OWN_START / sizeof *OWN_START; at++)
    if (getenv(OWN_START[at]) != NULL) return true;
  return false;
}

/* The snapshot of a process that has loaded that script (runtime/process/snapshot.ts), and what restores it. */
static inline bool find_snapshot(const char *script, char snapshot[PATH_MAX], char restore[PATH_MAX]) {
  struct stat facts, root;
  const char *slash = strrchr(script, '/');
  if (slash == NULL || wants_own_start() || stat(script, &facts) < 0 || stat("/", &root) < 0) return false;
  int length = snprintf(restore, PATH_MAX, "%.*s/native/restore", (int)(slash - script), script);
  for (size_t at = 0; length < PATH_MAX && at < sizeof SNAPSHOTS / sizeof *SNAPSHOTS; at++) {
    snprintf(snapshot, PATH_MAX, "%s/%lu-%lu-%ld-%09ld-%lu-%lu", SNAPSHOTS[at], facts.st_dev, facts.st_ino, facts.st_mtim.tv_sec,
             facts.st_mtim.tv_nsec, root.st_dev, root.st_ino);
    if (access(snapshot, R_OK) == 0) return true;
  }
  return false;
}

/* Becomes Node.js with a flag, or NULL, the script, words of ours, which end with NULL, and the rest. Returns where that fails. */
static inline void start_node(char **arguments, const char *flag, const char *const *words, char **rest) {
  size_t own = 0, count = 0;
  while (words[own] != NULL) own++;
  while (rest[count] != NULL) count++;
  /* Without that flag SIGUSR1, which is the container's, would start the debugger. */
  char snapshot[PATH_MAX], restore[PATH_MAX];
  bool restores = find_snapshot(arguments[SCRIPT], snapshot, restore);
  const char *first[] = {restores ? restore : NULL, restores ? snapshot : NULL, arguments[NODE], "--disable-sigusr1", flag, arguments[SCRIPT]};
  const char **line = calloc(sizeof first / sizeof *first + own + count + 1, sizeof *line);
  if (line == NULL) return;
  const char **next = line;
  for (size_t at = 0; at < sizeof first / sizeof *first; at++)
    if (first[at] != NULL) *next++ = first[at];
  memcpy(next, words, own * sizeof *words);
  memcpy(next + own, rest, count * sizeof *rest);
  if (restores) execv(restore, (char *const *)line);
  execv(arguments[NODE], (char *const *)(restores ? line + 2 : line));
}

/* With less Node.js crashes before it runs a line of ours, or waits forever; how many files it may open it raises itself as far as it may. */
static const struct {
  __rlimit_resource_t resource;
  bool raised;
  const char *name, *unit;
  rlim_t least;
} NEEDED[] = {
    {RLIMIT_NOFILE, true, "open files (ulimit -Hn)", "", 32},
    {RLIMIT_AS, false, "address space (ulimit -v)", " bytes", 1280 * 1024 * 1024},
    {RLIMIT_DATA, false, "data (ulimit -d)", " bytes", 640 * 1024 * 1024},
};

static inline bool has_limits(const char *name) {
  for (size_t at = 0; at < sizeof NEEDED / sizeof *NEEDED; at++) {
    struct rlimit limit;
    if (getrlimit(NEEDED[at].resource, &limit) < 0) continue;
    rlim_t given = NEEDED[at].raised ? limit.rlim_max : limit.rlim_cur;
    if (given >= NEEDED[at].least) continue;
    fprintf(stderr, "%s: the limit on %s is %llu%s, and at least %llu are needed (CAISSON_E_HOST)\n", name, NEEDED[at].name,
            (unsigned long long)given, NEEDED[at].unit, (unsigned long long)NEEDED[at].least);
    return false;
  }
  return true;
}

#endif
