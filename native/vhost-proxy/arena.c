#include "vhost-proxy.h"

#include <string.h>

/* The lowest that fit: little work then touches little memory. */
int64_t take_pages(struct arena *arena, uint32_t pages) {
  uint32_t run = 0;
  for (uint32_t page = 0; page < arena->pages; page++) {
    run = arena->is_taken[page] ? 0 : run + 1;
    if (run < pages) continue;
    memset(&arena->is_taken[page + 1 - run], true, run);
    return arena->first + page + 1 - run;
  }
  return -1;
}

void free_pages(struct arena *arena, uint32_t first, uint32_t pages) {
  memset(&arena->is_taken[first - arena->first], false, pages);
}
