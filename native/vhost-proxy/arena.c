#include "vhost-proxy.h"

#include <string.h>
#include <sys/mman.h>

enum { KEPT_PAGES = 64 };

/* The lowest that fit: little work then touches little memory. */
int64_t take_pages(struct arena *arena, uint32_t pages) {
  uint32_t run = 0;
  for (uint32_t page = 0; page < arena->pages; page++) {
    run = arena->is_taken[page] ? 0 : run + 1;
    if (run < pages) continue;
    memset(&arena->is_taken[page + 1 - run], true, run);
    if (arena->touched < page + 1) arena->touched = page + 1;
    return arena->first + page + 1 - run;
  }
  return -1;
}

void free_pages(struct arena *arena, uint32_t first, uint32_t pages) {
  memset(&arena->is_taken[first - arena->first], false, pages);
}

bool has_spare_pages(const struct arena *arena) { return arena->touched > KEPT_PAGES; }

/* For virtiofsd, too: the pages are the memfd's. */
bool release_spare_pages(struct arena *arena, uint8_t *shared) {
  if (!has_spare_pages(arena)) return true;
  uint8_t *spare = shared + (size_t)(arena->first + KEPT_PAGES) * PAGE;
  if (madvise(spare, (size_t)(arena->touched - KEPT_PAGES) * PAGE, MADV_REMOVE) < 0)
    return failed("give memory back");
  arena->touched = KEPT_PAGES;
  return true;
}
