#ifndef CAISSON_CARRY_H
#define CAISSON_CARRY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Bytes on their way from one descriptor to another. Whoever has it steps it when one of them may be ready.
 *
 * They are copied: Linux's splice(2) from a pipe to a virtio port writes past its list of pages when it does not take all that
 * the pipe has (port_fops_splice_write in drivers/char/virtio_console.c marks no end of what was filled), and passes on a page at a
 * time, of which QEMU makes a message each: 143 MiB/s where writing makes 422 in a guest that is emulated.
 */
struct carry {
  struct carry *next;
  /* Of the source's events; those of the sink have the next number. */
  uint32_t id;
  /* Copies of our own. */
  int from, to;
  /* How much has been taken from the source, and how much is to be. */
  uint64_t taken, limit;
  /* What was read and not written yet. */
  char *held;
  uint32_t held_at, held_end;
  /* Once the sink takes no more, what comes is thrown away up to the limit, in place of the end. */
  bool drains;
  bool is_broken, is_over;
  /* The sink is a pipe that holds enough to be left alone for a while when it is full; that it is; and that it is left alone. */
  bool is_roomy, is_full, rests;
};

/* Bits beside those of epoll(7): it is over; its sink takes no more. */
enum { CARRY_OVER = 1 << 24, CARRY_BROKEN = 1 << 25 };

/* Copies of both descriptors, which must be non-blocking, in a new one; NULL with errno. */
struct carry *carry_make(int from, int to, bool drains);
void carry_free(struct carry *carry);
/* As if the sink took no more; our copy of it is closed. */
void carry_let_go(struct carry *carry);

/*
 * Moves what can be moved now, given the events of the source or the sink. Returns CARRY_* for what is new, and sets *again when
 * there was more than one turn's worth.
 */
uint32_t carry_step(struct carry *carry, bool of_sink, uint32_t events, bool *again);

#endif
