/*
 * The server's memory in large pages. A fork copies an entry of the page tables for each page that is mapped, and a copy's end frees it: one
 * in place of 512, or 512 at once where the copy has written to a page of them, which becomes its own as before.
 */
#include "fork-server.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

/* Since Linux 6.1; before, nothing is done. */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum { PAGE = 4096, LARGE = 2 * 1024 * 1024, PAGES = LARGE / PAGE };
/* Of one large page: what is not in use takes memory from then on. */
enum { MOST = PAGES / 2 };

static bool is_in_use(char *start) {
  unsigned char resident[PAGES];
  int count = 0;
  if (mincore(start, LARGE, resident) < 0) return false;
  for (int each = 0; each < PAGES; each++) count += resident[each] & 1;
  return count >= MOST;
}

static void gather(uintptr_t start, uintptr_t end) {
  for (uintptr_t at = (start + LARGE - 1) / LARGE * LARGE; at + LARGE <= end; at += LARGE)
    if (is_in_use((char *)at)) (void)madvise((char *)at, LARGE, MADV_COLLAPSE);
}

void gather_memory(void) {
  FILE *maps = fdopen(open_own("maps", O_RDONLY), "r");
  char line[512], rights[5];
  unsigned long start, end, inode;
  if (maps == NULL) return;
  while (fgets(line, sizeof line, maps) != NULL) {
    if (sscanf(line, "%lx-%lx %4s %*s %*s %lu", &start, &end, rights, &inode) != 4) continue;
    /* A private mapping of a file, as the template's, is the file's pages for the most part. */
    if (rights[1] == 'w' && rights[3] == 'p' && inode == 0) gather(start, end);
  }
  fclose(maps);
}
