/*
 * The memory of this process, as the kernel tells it (proc_pid_maps(5), proc_pid_pagemap(5)). /proc/self/maps has a line for each region,
 *
 *     7f31c5a28000-7f31c5b7d000 r-xp 00026000 fe:00 1835 /usr/lib/x86_64-linux-gnu/libc.so.6
 *     start        end          |    offset   device     the file; nothing, or a name of the kernel's: [heap], [stack], [vdso]
 *                               read, write, execute; p: what is written is this process's own, s: it is shared
 *
 * and pagemap eight bytes for each page of 4 KiB. What differs from the file, or from zeros, goes into the snapshot. Nothing here may allocate
 * memory: that would be in none of the lines.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dump.h"

enum { MAX_TEXT = 1024 * 1024, BATCH = 512 };
/* Pages that are written although they need not be, so that a mapping less is made. */
enum { GAP = 8 };
/* What a stack may grow to. */
enum { STACK_ROOM = 8 * 1024 * 1024 };
/* In pagemap: the page is in memory, in swap; it is as in the file, or shared memory. */
static const uint64_t PRESENT = 1ULL << 63, SWAPPED = 1ULL << 62, OF_A_FILE = 1ULL << 61;

static char text[MAX_TEXT];
static uint64_t entries[BATCH];

static bool read_text(const char *path) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  size_t length = 0;
  ssize_t count = 0;
  while (length < MAX_TEXT - 1 && (count = read(file, text + length, MAX_TEXT - 1 - length)) > 0) length += (size_t)count;
  text[length] = '\0';
  return close_after(file, count == 0 || (count > 0 && fail(E2BIG)));
}

/* V8 has said of the place for its code that forks need none of it. */
bool leave_all_to_forks(void) {
  if (!read_text("/proc/self/maps")) return false;
  for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
    uint64_t from, to;
    /* What is the kernel's refuses. */
    if (sscanf(line, "%lx-%lx", &from, &to) == 2) madvise((void *)from, to - from, MADV_DOFORK);
  }
  return true;
}

/* A restored process would have none of the keys by which memory is protected (pkeys(7)). */
static bool has_protection_keys(void) {
  static const char field[] = "\nProtectionKey:";
  for (const char *at = text; (at = strstr(at, field)) != NULL; at += sizeof field - 1)
    if (strtol(at + sizeof field - 1, NULL, 10) != 0) return true;
  return false;
}

static bool number_of(struct snapshot *snapshot, const char *path, uint32_t *number) {
  for (*number = 0; *number < snapshot->files; ++*number)
    if (strcmp(snapshot->file[*number].path, path) == 0) return true;
  struct mapped_file *file = &snapshot->file[*number];
  struct stat facts;
  if (snapshot->files == MAX_FILES || strlen(path) >= sizeof file->path) return fail(E2BIG);
  /* One that was replaced has " (deleted)" after its name. */
  if (stat(path, &facts) < 0) return false;
  snapshot->files++;
  strcpy(file->path, path);
  file->device = facts.st_dev;
  file->inode = facts.st_ino;
  file->size = (uint64_t)facts.st_size;
  file->seconds = (uint64_t)facts.st_mtim.tv_sec;
  file->nanoseconds = (uint64_t)facts.st_mtim.tv_nsec;
  return true;
}

static struct region *add(struct snapshot *snapshot, struct region region) {
  if (snapshot->regions == MAX_REGIONS) return NULL;
  snapshot->region[snapshot->regions] = region;
  return &snapshot->region[snapshot->regions++];
}

static bool is_zero(uint64_t page) {
  static const char zeros[PAGE];
  return memcmp((const void *)page, zeros, PAGE) == 0;
}

/* Writes pages that the region has for itself, and lists them behind it. */
static bool write_run(struct snapshot *snapshot, const struct region *of, uint64_t start, uint64_t end, int to, uint64_t *offset) {
  struct region run = {.start = start, .end = end, .offset = *offset, .protection = of->protection, .content = OWN_PAGES};
  if (add(snapshot, run) == NULL) return fail(E2BIG);
  for (uint64_t from = start; from < end;) {
    ssize_t written = pwrite(to, (const void *)from, end - from, (off_t)*offset);
    if (written <= 0) return written < 0 ? false : fail(EIO);
    from += (uint64_t)written;
    *offset += (uint64_t)written;
  }
  return true;
}

static bool write_own_pages(struct snapshot *snapshot, struct region of, int pagemap, int to, uint64_t *offset) {
  uint64_t start = 0, end = 0;
  for (uint64_t at = of.start; at < of.end; at += BATCH * PAGE) {
    size_t pages = (of.end - at) / PAGE < BATCH ? (of.end - at) / PAGE : BATCH;
    if (pread(pagemap, entries, pages * 8, (off_t)(at / PAGE * 8)) != (ssize_t)(pages * 8)) return fail(EIO);
    for (size_t each = 0; each < pages; each++) {
      uint64_t page = at + each * PAGE;
      bool own = (entries[each] & (PRESENT | SWAPPED)) != 0 && (entries[each] & OF_A_FILE) == 0;
      if (!own || (of.content == ZEROS && is_zero(page))) continue;
      if (end != 0 && page - end > GAP * PAGE) {
        if (!write_run(snapshot, &of, start, end, to, offset)) return false;
        end = 0;
      }
      if (end == 0) start = page;
      end = page + PAGE;
    }
  }
  return end == 0 || write_run(snapshot, &of, start, end, to, offset);
}

static int protection_of(const char *letters) {
  return (letters[0] == 'r' ? PROT_READ : 0) | (letters[1] == 'w' ? PROT_WRITE : 0) | (letters[2] == 'x' ? PROT_EXEC : 0);
}

static bool write_region(struct snapshot *snapshot, const char *line, int pagemap, int to, uint64_t *offset) {
  static uint64_t before;
  struct region region = {0};
  char letters[5] = "";
  int path = 0;
  if (sscanf(line, "%lx-%lx %4s %lx %*s %*s %n", &region.start, &region.end, letters, &region.offset, &path) < 4) return fail(EINVAL);
  const char *name = line + path;
  region.protection = (uint32_t)protection_of(letters);
  /* The snapshot itself, which is shared so that it joins no other region. */
  if (region.start == (uint64_t)snapshot) return true;
  /* libuv lets go of its ring, and makes another one. */
  bool ring = strcmp(name, "anon_inode:[io_uring]") == 0;
  if (letters[3] == 's' && !ring) return fail(EBUSY);
  /* At the same address in all processes. */
  if (strcmp(name, "[vsyscall]") == 0) return true;
  /*
   * [vdso], code by which a process asks for the time without a system call, and its data, [vvar] (vdso(7)): the kernel maps them for each process
   * somewhere else, and a restored process has its own, which are moved to where these are.
   */
  if (strncmp(name, "[v", 2) == 0) {
    region.content = KERNEL_PAGES;
    return add(snapshot, region) != NULL || fail(E2BIG);
  }
  region.content = *name == '/' ? FILE_PAGES : ZEROS;
  if (*name == '/' && !number_of(snapshot, name, &region.file)) return false;
  if (strcmp(name, "[stack]") == 0) {
    uint64_t lowest = region.end - STACK_ROOM;
    region.start = lowest > before + STACK_ROOM ? lowest : region.start;
  }
  before = region.end;
  if (add(snapshot, region) == NULL) return fail(E2BIG);
  return ring || region.protection == PROT_NONE || write_own_pages(snapshot, region, pagemap, to, offset);
}

bool write_memory(struct snapshot *snapshot, int to) {
  uint64_t offset = (sizeof *snapshot + PAGE - 1) / PAGE * PAGE;
  int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (pagemap < 0) return false;
  bool done = read_text("/proc/self/smaps") && (!has_protection_keys() || fail(EBUSY)) && read_text("/proc/self/maps");
  for (char *line = text, *end; done && (end = strchr(line, '\n')) != NULL; line = end + 1) {
    *end = '\0';
    done = write_region(snapshot, line, pagemap, to, &offset);
  }
  return close_after(pagemap, done);
}
