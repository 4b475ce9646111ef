/*
 * With cache=auto virtiofsd lets the guest drop a file's pages at each open(2), so that a program's start reads its file and all
 * its libraries again. This asks the guest to keep them (FOPEN_KEEP_CACHE) when the file is as it was at the open before, by the
 * time of its inode's last change (ctime), which nobody can set. The guest has it at most as long ago as it trusts attributes.
 */
#include "vhost-proxy.h"

#include <linux/fuse.h>
#include <string.h>
#include <time.h>

/* Changes within one tick of a file system's clock have the same time, so what has changed just now may do so again unseen. */
enum { SETTLED_S = 2 };

static bool is_same(struct file_time one, struct file_time other) {
  return one.seconds == other.seconds && one.nanoseconds == other.nanoseconds;
}

struct cached_file *slot_of(struct cached_files *files, uint64_t node) {
  struct cached_file *file = &files->slots[node % CACHED_FILES];
  if (file->node != node) *file = (struct cached_file){.node = node};
  return file;
}

static void note_attributes(struct cached_files *files, uint64_t node, const struct fuse_attr *attributes) {
  slot_of(files, node)->told = (struct file_time){.seconds = attributes->ctime, .nanoseconds = attributes->ctimensec};
}

/* Whether the guest may keep what it has of the file that it opens. */
static bool note_open(struct cached_files *files, uint64_t node, uint64_t now) {
  struct cached_file *file = &files->slots[node % CACHED_FILES];
  if (file->node != node) return false;
  bool is_settled = file->told.seconds < now && now - file->told.seconds > SETTLED_S;
  bool may_keep = is_settled && file->is_settled && is_same(file->told, file->opened);
  file->opened = file->told;
  file->is_settled = is_settled;
  return may_keep;
}

static void note_folder(struct cached_files *files, const uint8_t *entries, uint32_t length) {
  struct fuse_direntplus entry;
  while (length >= FUSE_NAME_OFFSET_DIRENTPLUS) {
    memcpy(&entry, entries, FUSE_NAME_OFFSET_DIRENTPLUS);
    if (entry.dirent.namelen > length) return;
    uint64_t size = FUSE_DIRENTPLUS_SIZE(&entry);
    if (entry.entry_out.nodeid != 0) note_attributes(files, entry.entry_out.nodeid, &entry.entry_out.attr);
    if (size >= length) return;
    entries += size;
    length -= (uint32_t)size;
  }
}

static void note_entry(struct cached_files *files, const uint8_t *answer, uint32_t length) {
  struct fuse_entry_out entry;
  if (length < sizeof entry) return;
  memcpy(&entry, answer, sizeof entry);
  if (entry.nodeid != 0) note_attributes(files, entry.nodeid, &entry.attr);
}

static void note_answer(struct cached_files *files, const struct fuse_in_header *asked, uint8_t *answer, uint32_t length,
                        uint64_t now) {
  struct fuse_attr_out attributes;
  struct fuse_open_out opened;
  switch (asked->opcode) {
    case FUSE_LOOKUP:
    case FUSE_CREATE:
    case FUSE_MKNOD:
    case FUSE_LINK:
      note_entry(files, answer, length);
      return;
    case FUSE_READDIRPLUS:
      note_folder(files, answer, length);
      return;
    case FUSE_GETATTR:
    case FUSE_SETATTR:
      if (length < sizeof attributes) return;
      memcpy(&attributes, answer, sizeof attributes);
      note_attributes(files, asked->nodeid, &attributes.attr);
      return;
    case FUSE_OPEN:
      if (length < sizeof opened || !note_open(files, asked->nodeid, now)) return;
      memcpy(&opened, answer, sizeof opened);
      opened.open_flags |= FOPEN_KEEP_CACHE;
      memcpy(answer, &opened, sizeof opened);
      return;
    default:
      return;
  }
}

void note_cached_files(struct cached_files *files, const struct request *request, uint8_t *shared, uint32_t length) {
  struct fuse_in_header asked;
  struct fuse_out_header answer;
  struct timespec now;
  if (request->lengths[FIRST_READABLE] < sizeof asked || request->lengths[FIRST_WRITABLE] != sizeof answer ||
      length <= sizeof answer)
    return;
  memcpy(&asked, shared + request->offsets[FIRST_READABLE], sizeof asked);
  memcpy(&answer, shared + request->offsets[FIRST_WRITABLE], sizeof answer);
  if (answer.error != 0) return;
  clock_gettime(CLOCK_REALTIME, &now);
  note_answer(files, &asked, shared + request->offsets[FURTHER_WRITABLE], length - (uint32_t)sizeof answer,
              (uint64_t)now.tv_sec);
}
