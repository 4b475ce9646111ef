#include "fuzz.h"

static _Thread_local uint64_t state;

/* xorshift64*, which has no zero. */
void seed_random(uint64_t seed) { state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1; }

uint64_t random_number(void) {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return state * UINT64_C(0x2545f4914f6cdd1d);
}

uint32_t below(uint32_t limit) { return (uint32_t)((random_number() >> 33) % limit); }

bool one_in(uint32_t chances) { return below(chances) == 0; }
