#include "vhost-proxy.h"

#include <string.h>
#include <unistd.h>

/* The shared memory begins with the rings. The hiprio queue's requests are small. */
enum { RING_PAGES = QUEUES * SERVER_RING_BYTES / PAGE, HIPRIO_END = 1024 * 1024 / PAGE };
/* Virtiofsd is told of new requests when all have been copied, and before that of so many pages. */
enum { TELL_PAGES = 16 };

void begin_queue(struct queue *queue, int index) {
  uint32_t first = index == HIPRIO ? RING_PAGES : HIPRIO_END;
  queue->kick = queue->call = queue->server_kick = queue->server_call = -1;
  queue->arena.first = first;
  queue->arena.pages = (index == HIPRIO ? HIPRIO_END : ARENA_PAGES) - first;
  queue->waiting = -1;
  queue->unused = REQUESTS;
  for (int each = 0; each < REQUESTS; each++) queue->free[each] = (uint8_t)(REQUESTS - 1 - each);
}

uint32_t in_flight(const struct queue *queue) { return REQUESTS - queue->unused - (queue->waiting >= 0 ? 1 : 0); }

bool is_running(const struct queue *queue) { return queue->is_started && queue->is_enabled && !queue->is_stopping; }

bool has_work(const struct queue *queue) {
  /* Nothing is carried from a ring that is stopped, whatever virtiofsd says. */
  bool can_finish = queue->is_started && in_flight(queue) > 0;
  bool can_take = is_running(queue) && queue->waiting < 0 && queue->unused > 0;
  return (can_finish && has_done(&queue->server)) || (can_take && has_requests(&queue->ring));
}

/* Nobody reads the number of events, and one that is there already is as good: a full counter is no failure. */
static void signal_event(int fd) {
  uint64_t one = 1;
  if (fd >= 0 && write(fd, &one, sizeof one) < 0) return;
}

enum outcome { STARTED, EMPTY, FULL, UNABLE };

/* Gives the request to virtiofsd, when there is memory for it. */
static enum outcome start(struct queue *queue, uint32_t number, const struct guest_memory *memory, uint8_t *shared) {
  struct request *request = &queue->requests[number];
  uint64_t pages = (lay_out(request) + PAGE - 1) / PAGE;
  if (pages > queue->arena.pages) {
    refused("the guest's ring is broken: a request takes %ju pages of %u", (uintmax_t)pages, queue->arena.pages);
    return UNABLE;
  }
  int64_t first = take_pages(&queue->arena, (uint32_t)pages);
  if (first < 0) return FULL;
  request->first_page = (uint32_t)first;
  request->pages = (uint32_t)pages;
  for (int part = 0; part < PARTS; part++) request->offsets[part] += (uint32_t)first * PAGE;
  if (!copy_from_guest(request, memory, shared)) return UNABLE;
  name_temporary_file(request, shared);
  note_new_capabilities(&queue->cached_files, request, shared);
  request->is_given = true;
  offer(&queue->server, number, request);
  queue->untold += request->pages;
  queue->carried++;
  return STARTED;
}

/* Whether the guest has the answer by now, without virtiofsd. */
static bool answer(struct queue *queue, uint32_t number, const struct guest_memory *memory) {
  const struct request *request = &queue->requests[number];
  uint32_t length = answer_about_capabilities(&queue->cached_files, request, memory);
  if (length == 0) return false;
  give_back(&queue->ring, request->head, length);
  queue->must_call = true;
  return true;
}

/* A request that waits for memory has been read from the ring, and is not read again. */
static enum outcome start_next(struct queue *queue, const struct guest_memory *memory, uint8_t *shared) {
  if (queue->waiting < 0) {
    if (queue->unused == 0) return FULL;
    uint8_t number = queue->free[queue->unused - 1];
    enum taken taken = take_request(&queue->ring, memory, &queue->requests[number]);
    if (taken != TAKEN) return taken == NOTHING ? EMPTY : UNABLE;
    if (answer(queue, number, memory)) return STARTED;
    queue->unused--;
    queue->waiting = number;
  }
  enum outcome outcome = start(queue, (uint32_t)queue->waiting, memory, shared);
  if (outcome == STARTED) queue->waiting = -1;
  return outcome;
}

static void call_guest(struct queue *queue) {
  if (queue->must_call) signal_event(queue->call);
  queue->must_call = false;
}

static void tell_server(struct queue *queue) {
  queue->untold = 0;
  if (wants_kick(&queue->server)) signal_event(queue->server_kick);
}

bool carry_to_server(struct queue *queue, const struct guest_memory *memory, uint8_t *shared, bool *has_more) {
  enum outcome outcome = STARTED;
  for (uint32_t count = 0; count < RING_SIZE && outcome == STARTED; count++) {
    outcome = start_next(queue, memory, shared);
    /* Virtiofsd works on a large request while the next one is copied. */
    if (queue->untold >= TELL_PAGES) tell_server(queue);
  }
  if (queue->untold > 0) tell_server(queue);
  call_guest(queue);
  *has_more = outcome == STARTED;
  return outcome != UNABLE;
}

static bool finish(struct queue *queue, uint32_t number, uint32_t length, const struct guest_memory *memory,
                   uint8_t *shared) {
  struct request *request = &queue->requests[number];
  if (!request->is_given) return refused("virtiofsd has completed request %u, which it does not have", number);
  if (length > offered(request))
    return refused("virtiofsd has written %u bytes where the guest takes %u", length, offered(request));
  note_cached_files(&queue->cached_files, request, shared, length);
  note_missing_capabilities(&queue->cached_files, request, shared, length);
  join_file_system(request, shared, length);
  spare_flush(request, shared, length);
  if (!copy_to_guest(request, memory, shared, length)) return false;
  request->is_given = false;
  free_pages(&queue->arena, request->first_page, request->pages);
  queue->free[queue->unused++] = (uint8_t)number;
  give_back(&queue->ring, request->head, length);
  queue->must_call = true;
  queue->carried++;
  queue->answers++;
  return true;
}

bool carry_to_guest(struct queue *queue, const struct guest_memory *memory, uint8_t *shared) {
  uint32_t number, length;
  enum taken taken;
  while ((taken = take_done(&queue->server, in_flight(queue), &number, &length)) == TAKEN)
    if (!finish(queue, number, length, memory, shared)) return false;
  call_guest(queue);
  return taken == NOTHING;
}

void put_back_waiting(struct queue *queue) {
  if (queue->waiting < 0) return;
  queue->free[queue->unused++] = (uint8_t)queue->waiting;
  queue->waiting = -1;
  queue->ring.next_available--;
}
