/* For strings of V8 whose bytes are not in its heap. */
#define NAPI_VERSION 10
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix.h"

/* A file's pages between words of ours: the head ends where a page does, and the tail follows the file's last byte. */
struct text {
  char *pages;
  size_t length;
  char *start;
  size_t size;
};

static void unmap(napi_env env, void *data, void *hint) {
  (void)env, (void)data;
  struct text *text = hint;
  munmap(text->pages, text->length);
  free(text);
}

/* False with errno set. Only the pages with words of ours are the process's own. */
static bool map(struct text *text, int fd, const char *head, const char *tail) {
  struct stat status;
  if (fstat(fd, &status) < 0) return false;
  const size_t page = (size_t)sysconf(_SC_PAGESIZE), before = strlen(head), after = strlen(tail), size = (size_t)status.st_size;
  const size_t room = (before + page - 1) / page * page;
  text->length = room + (size + after + page - 1) / page * page;
  text->pages = mmap(NULL, text->length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (text->pages == MAP_FAILED) return false;
  char *file = text->pages + room;
  if (size > 0 && mmap(file, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED) {
    const int error = errno;
    munmap(text->pages, text->length);
    errno = error;
    return false;
  }
  text->start = file - before;
  text->size = before + size + after;
  memcpy(text->start, head, before);
  memcpy(file + size, tail, after);
  mprotect(text->pages, text->length, PROT_READ);
  return true;
}

napi_value posix_map_text(napi_env env, napi_callback_info info) {
  napi_value arguments[3], result = NULL;
  char *path = NULL, *head = NULL, *tail = NULL;
  if (!read_arguments(env, info, 3, arguments) || !read_string(env, arguments[0], false, &path) ||
      !read_string(env, arguments[1], false, &head) || !read_string(env, arguments[2], false, &tail))
    goto out;
  struct text *text = malloc(sizeof *text);
  int fd = text == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || !map(text, fd, head, tail)) {
    throw_errno(env, errno, "mmap", path);
    free(text);
  } else {
    bool copied;
    /* Where it is copied, it is unmapped at once. */
    if (node_api_create_external_string_latin1(env, text->start, text->size, unmap, text, &result, &copied) != napi_ok) result = NULL;
  }
  if (fd >= 0) close(fd);
out:
  free(path);
  free(head);
  free(tail);
  return result;
}
