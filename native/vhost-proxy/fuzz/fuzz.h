/* Mutated rings for the proxy's queue, with RAM and shared memory on the heap, where the address sanitizer sees their ends. */
#pragma once

#include "../vhost-proxy.h"

/* random.c: the same numbers after the same seed. */
void seed_random(uint64_t seed);
uint64_t random_number(void);
uint32_t below(uint32_t limit);
bool one_in(uint32_t chances);

/* ram.c: two regions, adjacent for the guest; the first one has the ring. */
enum { FUZZ_REGION = 16 * 1024, MOST_ENTRIES = 32 };
#define FUZZ_BASE UINT64_C(0x10000)
extern struct guest_memory fuzz_memory;
extern struct vring fuzz_ring;
void make_fuzz_ram(void);
/* A ring of some size with chains, some of which are broken. */
void fill_ring(struct guest_ring *ring);
void make_available(void);
/* Makes a change, as a guest on another processor would. */
void change_something(void);
void remember_ram(void);
/* Whether nothing has changed since but the used ring, and what these requests offer. */
bool is_ram_as_it_was(const struct queue *queue, const bool was_given[REQUESTS]);
