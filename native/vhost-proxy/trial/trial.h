/*
 * Plays both neighbours of the proxy in one process: QEMU with a guest (its RAM is here, as in QEMU), and virtiofsd.
 * Whatever fails ends the program with a line that says where.
 */
#pragma once

#include "../vhost-proxy.h"

/* sockets.c */
#define expect(condition) (void)((condition) || (unexpected(__FILE__, __LINE__, #condition), 0))
void unexpected(const char *file, int line, const char *condition) __attribute__((noreturn));
/* The line that the proxy says on the control socket, without line feed and "error "; "" when it says nothing. */
const char *said(void);
/* Attaches both neighbours, with sockets between them and the proxy. */
void attach(void);
void detach(void);
/* Whether the other side hangs up within a second. */
bool hangs_up(int socket);
extern int control, qemu, server;

/* The trials of carrying.c, refusals.c, lifecycle.c, caching.c, joins.c, flushes.c, temporary.c
 * and capabilities.c, which main.c runs by their names. */
struct trial {
  const char *name;
  void (*run)(void);
};
extern const struct trial carrying[], refusals[], lifecycle[], caching[], joins[], flushes[], temporary[], capabilities[];

/* guest.c: three regions of RAM, which lie apart for the guest and the other way round here; a ring for each queue. */
enum { REGION_BYTES = 32 * 1024 * 1024, GUEST_RING = 64 };
#define LOW UINT64_C(0x100000)
#define HIGH (LOW + REGION_BYTES)
#define FAR UINT64_C(0x100000000)
extern struct vring trial_rings[QUEUES];
void make_ram(void);
uint8_t *ram(uint64_t guest_address);
/* Sends what QEMU sends when the driver is ready, and when it resets the device. */
void start_device(void);
void start_queue(uint32_t index, uint16_t base);
void begin_stop(uint32_t index);
uint16_t end_stop(uint32_t index);
void set_descriptor(struct vring_desc *table, uint16_t index, uint64_t address, uint32_t length, uint16_t flags,
                    uint16_t next);
/* Makes the chain that begins with this descriptor available, and kicks. */
void submit(uint32_t queue, uint16_t head);
void kick(uint32_t queue);
/* Waits for `count` more completions: false after 5 s. */
bool completed(uint32_t queue, uint16_t count);
/* How many calls of the proxy's the guest has heard, as far as completed() has waited for them. */
uint64_t times_called(uint32_t queue);
struct vring_used_elem last_used(uint32_t queue);

/* echo.c: virtiofsd, which answers a request with what it reads, each byte exclusive-or'ed with 0x5a. */
enum misdeed { NONE, HOLD, WRONG_ID, FREE_ID, TOO_LONG, TWICE, MANY, CHATTER, REVERSED, SCRIBBLE, LATE };
void serve_echo(enum misdeed misdeed);
/* The server goes on with what it holds. */
void release(void);
void end_echo(void);
/* How many descriptors the last request had. */
int last_descriptors(void);

/* requests.c: what a guest asks for, and what it has to get. */
enum { NEXT = VRING_DESC_F_NEXT, WRITE = VRING_DESC_F_WRITE, INDIRECT = VRING_DESC_F_INDIRECT };
enum { REQUEST_QUEUE = 1, MIB = 1024 * 1024 };
void begin(enum misdeed misdeed);
void fill(uint64_t address, uint32_t length, uint32_t seed);
bool is_echo(uint64_t from, uint64_t to, uint32_t length);
void submit_small(uint32_t queue, uint16_t first);
void check_small(uint32_t queue, uint16_t first);
void submit_large(uint16_t head, uint32_t pages, uint64_t from, uint64_t to);
