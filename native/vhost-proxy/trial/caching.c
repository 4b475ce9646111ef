#include "trial.h"

#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ASKED_AT = 0, HEADER_AT = 64, ANSWER_AT = 128, ANSWER_BYTES = 4096 };

static struct cached_files files;
static uint8_t memory[ANSWER_AT + ANSWER_BYTES];

/* Virtiofsd's answer passes by. What is after `at + ANSWER_AT + length` is no answer. */
static void pass_at(uint8_t *at, uint32_t opcode, uint64_t node, const void *answer, uint32_t length) {
  struct request request = {.readable = 1, .writable = 2};
  struct fuse_in_header asked = {.opcode = opcode, .nodeid = node};
  struct fuse_out_header header = {.len = (uint32_t)sizeof header + length};
  request.lengths[FIRST_READABLE] = sizeof asked;
  request.lengths[FIRST_WRITABLE] = sizeof header;
  request.lengths[FURTHER_WRITABLE] = ANSWER_BYTES;
  request.offsets[FIRST_READABLE] = ASKED_AT;
  request.offsets[FIRST_WRITABLE] = HEADER_AT;
  request.offsets[FURTHER_WRITABLE] = ANSWER_AT;
  memcpy(at + ASKED_AT, &asked, sizeof asked);
  memcpy(at + HEADER_AT, &header, sizeof header);
  memcpy(at + ANSWER_AT, answer, length);
  note_cached_files(&files, &request, at, header.len);
}

/* What the guest gets is in `memory`. */
static void pass(uint32_t opcode, uint64_t node, const void *answer, uint32_t length) {
  pass_at(memory, opcode, node, answer, length);
}

static uint64_t ago(uint64_t seconds) { return (uint64_t)time(NULL) - seconds; }

static void look_up(uint64_t node, uint64_t changed) {
  struct fuse_entry_out entry = {.nodeid = node, .attr = {.ctime = changed, .ctimensec = 5}};
  pass(FUSE_LOOKUP, 1, &entry, sizeof entry);
}

static bool keeps(uint64_t node) {
  struct fuse_open_out opened = {.fh = 7, .open_flags = FOPEN_NOFLUSH};
  pass(FUSE_OPEN, node, &opened, sizeof opened);
  memcpy(&opened, memory + ANSWER_AT, sizeof opened);
  expect(opened.fh == 7 && (opened.open_flags & ~(uint32_t)FOPEN_KEEP_CACHE) == FOPEN_NOFLUSH);
  return (opened.open_flags & FOPEN_KEEP_CACHE) != 0;
}

static void keeps_what_is_unchanged(void) {
  expect(!keeps(2));
  look_up(2, ago(100));
  expect(!keeps(2) && keeps(2));
  look_up(2, ago(100));
  expect(keeps(2));
  struct fuse_attr_out changed = {.attr = {.ctime = ago(50)}};
  pass(FUSE_GETATTR, 2, &changed, sizeof changed);
  expect(!keeps(2) && keeps(2));
  changed.attr.ctimensec = 1;
  pass(FUSE_SETATTR, 2, &changed, sizeof changed);
  expect(!keeps(2) && keeps(2));
  /* Two files of one slot. */
  look_up(2 + CACHED_FILES, ago(50));
  expect(!keeps(2 + CACHED_FILES) && keeps(2 + CACHED_FILES) && !keeps(2));
}

static void drops_what_is_new(void) {
  look_up(3, ago(0));
  expect(!keeps(3) && !keeps(3));
  look_up(3, ago(0) + 1000);
  expect(!keeps(3) && !keeps(3));
  /* The file was read when it could have changed again within the same tick. */
  uint64_t changed = ago(1);
  look_up(4, changed);
  expect(!keeps(4));
  for (struct timespec wait = {.tv_sec = 2}; nanosleep(&wait, NULL) != 0;) continue;
  look_up(4, changed);
  expect(!keeps(4) && keeps(4));
}

static void hears_of_folders(void) {
  uint8_t entries[1024] = {0};
  struct fuse_direntplus entry = {.dirent = {.namelen = 3}};
  uint32_t size = (uint32_t)FUSE_DIRENTPLUS_SIZE(&entry);
  for (uint64_t node = 10; node < 13; node++) {
    entry.entry_out.nodeid = node;
    entry.entry_out.attr.ctime = ago(70);
    memcpy(entries + (node - 10) * size, &entry, FUSE_NAME_OFFSET_DIRENTPLUS);
  }
  pass(FUSE_READDIRPLUS, 1, entries, 3 * size);
  for (uint64_t node = 10; node < 13; node++) expect(!keeps(node) && keeps(node));
  /* A name that does not end, and an answer that is cut. */
  entry.dirent.namelen = UINT32_MAX;
  entry.entry_out.nodeid = 20;
  memcpy(entries, &entry, FUSE_NAME_OFFSET_DIRENTPLUS);
  pass(FUSE_READDIRPLUS, 1, entries, 3 * size);
  expect(!keeps(20) && !keeps(20));
  for (uint32_t length = 0; length < size; length++) pass(FUSE_READDIRPLUS, 1, entries, length);
  for (uint32_t length = 0; length < sizeof(struct fuse_entry_out); length++) pass(FUSE_LOOKUP, 1, entries, length);
  for (uint32_t length = 0; length < sizeof(struct fuse_open_out); length++) pass(FUSE_OPEN, 10, entries, length);
}

/* The sanitizers see what is read or written after its end. */
static void outlives_any_answer(void) {
  uint8_t answer[1024];
  for (uint32_t each = 0; each < 20000; each++) {
    uint32_t length = (uint32_t)rand() % sizeof answer;
    for (uint32_t byte = 0; byte < length; byte++) answer[byte] = rand() % 4 == 0 ? (uint8_t)rand() : 0;
    uint8_t *at = malloc(ANSWER_AT + length);
    expect(at != NULL);
    pass_at(at, (uint32_t)rand() % 60, (uint64_t)rand(), answer, length);
    free(at);
  }
}

const struct trial caching[] = {
    {"lets the guest keep the pages of files that have not changed", keeps_what_is_unchanged},
    {"lets the guest drop the pages of files that have changed just now", drops_what_is_new},
    {"learns of a folder's files, and of nothing that is cut", hears_of_folders},
    {"outlives any answer about a file", outlives_any_answer},
    {0},
};
