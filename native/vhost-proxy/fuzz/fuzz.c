/* vhost-proxy-fuzz FIRST COUNT [race]: that many rings, from that seed on; with "race" another thread changes them meanwhile. */
#include "fuzz.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct queue queue;
static uint8_t *shared;
static unsigned long carried, refusals;

static void check(bool condition, uint64_t seed, const char *what) {
  if (condition) return;
  fprintf(stderr, "seed %ju: %s (%s)\n", (uintmax_t)seed, what, problem());
  abort();
}

/* What virtiofsd has is in the queue's pages, and each page is one request's. */
static bool is_apart(void) {
  static uint8_t owners[ARENA_PAGES];
  memset(owners, 0, sizeof owners);
  for (uint32_t number = 0; number < REQUESTS; number++) {
    const struct request *request = &queue.requests[number];
    if (!request->is_given) continue;
    if (request->first_page < queue.arena.first ||
        request->first_page + request->pages > queue.arena.first + queue.arena.pages)
      return false;
    for (uint32_t page = request->first_page; page < request->first_page + request->pages; page++)
      if (owners[page]++ != 0) return false;
    for (int part = 0; part < PARTS; part++)
      if (request->lengths[part] > 0 && (request->offsets[part] < request->first_page * PAGE ||
                                         request->offsets[part] + request->lengths[part] >
                                             (request->first_page + request->pages) * PAGE))
        return false;
  }
  return true;
}

/* Virtiofsd completes some of what it has, mostly as it should. */
static void serve(void) {
  struct vring_used *used = (struct vring_used *)(queue.server.bytes + USED_AT);
  for (uint32_t number = 0; number < REQUESTS; number++) {
    const struct request *request = &queue.requests[number];
    if (!request->is_given || one_in(4)) continue;
    uint32_t most = offered(request);
    if (most > 0) shared[request->offsets[request->lengths[FIRST_WRITABLE] > 0 ? FIRST_WRITABLE : FURTHER_WRITABLE]]++;
    used->ring[used->idx++ % RING_SIZE] = (struct vring_used_elem){
        .id = one_in(256) ? (uint32_t)random_number() >> below(32) : number * REQUEST_DESCRIPTORS,
        .len = one_in(256) ? (uint32_t)random_number() >> below(32) : one_in(2) ? most : below(most + 1)};
  }
  if (one_in(128)) used->idx = (uint16_t)random_number();
  if (one_in(16)) memset(queue.server.bytes, (int)random_number(), USED_AT);
}

static bool turn(uint64_t seed, bool is_race) {
  static bool was_given[REQUESTS];
  bool has_more, good = true;
  make_available();
  for (int each = 0; good && each < 3; each++) {
    if (!is_race) remember_ram();
    memset(was_given, 0, sizeof was_given);
    good = carry_to_server(&queue, &fuzz_memory, shared, &has_more);
    check(is_apart(), seed, "requests share memory");
    check(is_race || is_ram_as_it_was(&queue, was_given), seed, "RAM has changed before a completion");
    if (good) serve();
    for (uint32_t number = 0; number < REQUESTS; number++) was_given[number] = queue.requests[number].is_given;
    uint32_t had = in_flight(&queue);
    if (!is_race) remember_ram();
    good = good && carry_to_guest(&queue, &fuzz_memory, shared);
    check(is_race || is_ram_as_it_was(&queue, was_given), seed, "a completion has changed other RAM");
    check(in_flight(&queue) <= had, seed, "requests come from nowhere");
    carried += had - in_flight(&queue);
  }
  check(good == (problem()[0] == '\0'), seed, "a refusal and its sentence do not go together");
  return good;
}

static void reset(void) {
  uint32_t index = below(QUEUES);
  for (uint32_t number = 0; number < REQUESTS; number++) queue.requests[number].is_given = false;
  memset(&queue.arena, 0, sizeof queue.arena);
  begin_queue(&queue, (int)index);
  queue.server = (struct server_ring){.bytes = shared + (size_t)index * SERVER_RING_BYTES};
  queue.untold = 0;
  memset(queue.server.bytes + USED_AT, 0, sizeof(struct vring_used));
}

static _Atomic bool is_over;

static void *race(void *seed) {
  seed_random((uintptr_t)seed);
  while (!is_over) change_something();
  return NULL;
}

int main(int count, char **words) {
  if (count < 3) return 2;
  uint64_t first = strtoull(words[1], NULL, 10), rings = strtoull(words[2], NULL, 10);
  bool is_race = count > 3;
  pthread_t racer;
  shared = aligned_alloc(PAGE, SHARED_BYTES);
  if (shared == NULL) return 2;
  make_fuzz_ram();
  seed_random(first);
  reset();
  fill_ring(&queue.ring);
  if (is_race && pthread_create(&racer, NULL, race, (void *)(uintptr_t)first) != 0) return 2;
  for (uint64_t seed = first; seed < first + rings; seed++) {
    seed_random(seed);
    reset();
    fill_ring(&queue.ring);
    if (find_ring(&queue.ring, &fuzz_memory))
      for (int each = 0; each < 3 && turn(seed, is_race); each++) continue;
    if (problem()[0] != '\0') refusals++;
  }
  is_over = true;
  if (is_race) pthread_join(racer, NULL);
  printf("rings %ju to %ju: %lu requests carried, %lu rings refused\n", (uintmax_t)first, (uintmax_t)(first + rings - 1), carried,
         refusals);
  return 0;
}
