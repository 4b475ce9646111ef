/*
 * Whether a file has capabilities (security.capability), the guest's kernel asks before each write(2), to take them away. Most have none.
 * The host's kernel takes them away itself, so the proxy answers while it can be sure for as long as the guest trusts attributes: for a second
 * after virtiofsd has said so, or has made the file, unless the guest gives the file some.
 */
#include "vhost-proxy.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>

enum { TRUSTED_US = 1000 * 1000 };

#define CAPABILITIES "security.capability"

struct question {
  struct fuse_in_header header;
  struct fuse_getxattr_in how;
  char name[sizeof CAPABILITIES];
};
enum { NAMED = sizeof(struct fuse_getxattr_in) + sizeof CAPABILITIES };

static bool has_form(const struct request *request) {
  return request->lengths[FIRST_READABLE] == sizeof(struct fuse_in_header) && request->lengths[SECOND_READABLE] == NAMED &&
         request->lengths[FURTHER_READABLE] == 0 && request->lengths[FIRST_WRITABLE] == sizeof(struct fuse_out_header);
}

static bool is_about_capabilities(const struct question *question) {
  return question->header.opcode == FUSE_GETXATTR && memcmp(question->name, CAPABILITIES, sizeof CAPABILITIES) == 0;
}

uint32_t answer_about_capabilities(const struct cached_files *files, const struct request *request,
                                   const struct guest_memory *memory) {
  struct question question;
  const struct segment *asked = request->segments, *answered = &request->segments[request->readable];
  if (!has_form(request) || !guest_read(memory, asked[0].address, &question.header, sizeof question.header) ||
      !guest_read(memory, asked[1].address, &question.how, NAMED) || !is_about_capabilities(&question))
    return 0;
  const struct cached_file *file = &files->slots[question.header.nodeid % CACHED_FILES];
  if (file->node != question.header.nodeid || file->has_been_given_some ||
      now_us() >= file->is_plain_until_us)
    return 0;
  struct fuse_out_header answer = {.len = sizeof answer, .error = -ENODATA, .unique = question.header.unique};
  return guest_write(memory, answered->address, &answer, sizeof answer) ? sizeof answer : 0;
}

void note_new_capabilities(struct cached_files *files, const struct request *request, const uint8_t *shared) {
  struct fuse_in_header asked;
  if (request->lengths[FIRST_READABLE] != sizeof asked) return;
  memcpy(&asked, shared + request->offsets[FIRST_READABLE], sizeof asked);
  if (asked.opcode == FUSE_SETXATTR) slot_of(files, asked.nodeid)->has_been_given_some = true;
}

static void note_plain(struct cached_files *files, uint64_t node) {
  slot_of(files, node)->is_plain_until_us = now_us() + TRUSTED_US;
}

void note_missing_capabilities(struct cached_files *files, const struct request *request, const uint8_t *shared,
                               uint32_t length) {
  struct question question;
  struct fuse_out_header answer;
  struct fuse_entry_out made;
  if (request->lengths[FIRST_READABLE] != sizeof question.header || request->lengths[FIRST_WRITABLE] != sizeof answer ||
      length < sizeof answer)
    return;
  memcpy(&question.header, shared + request->offsets[FIRST_READABLE], sizeof question.header);
  memcpy(&answer, shared + request->offsets[FIRST_WRITABLE], sizeof answer);
  if (question.header.opcode == FUSE_CREATE && answer.error == 0 && length >= sizeof answer + sizeof made) {
    memcpy(&made, shared + request->offsets[FURTHER_WRITABLE], sizeof made);
    note_plain(files, made.nodeid);
  } else if (answer.error == -ENODATA && has_form(request)) {
    memcpy(&question.how, shared + request->offsets[SECOND_READABLE], NAMED);
    if (is_about_capabilities(&question)) note_plain(files, question.header.nodeid);
  }
}
