/* Paths in a root that the image's author filled: every look-up goes through openat2(2) with RESOLVE_IN_ROOT, so that
 * links and ".." end inside it even when a process of a container changes them meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "container-init.h"

enum { MAX_LINKS = 40, MAX_TRIES = 128 };

int close_and_return(int fd, int result) {
  int error = errno;
  close(fd);
  errno = error;
  return result;
}

/* Before mount_root this is the guest's own root, in a joined mount namespace the container's. */
int root_of(struct context *context) {
  if (context->root < 0) context->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  return context->root;
}

int open_in_root(int root, const char *path, uint64_t flags) {
  struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  /* EAGAIN: something was renamed or mounted while ".." was looked up. */
  for (int tries = 0; tries < MAX_TRIES; tries++) {
    int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    if (fd >= 0 || errno != EAGAIN) return fd;
  }
  return -1;
}

static int make_one(int parent, const char *name, bool directory, mode_t mode) {
  if (directory) return mkdirat(parent, name, mode);
  int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
  if (fd < 0) return -1;
  close(fd);
  return 0;
}

/* Puts what the link `prefix`/`name` says in its place, `rest` behind it. */
static int follow(int parent, const char *name, const char *prefix, const char *rest, char *path) {
  char link[PATH_MAX];
  char longer[PATH_MAX];
  ssize_t length = readlinkat(parent, name, link, sizeof link - 1);
  if (length < 0) return -1;
  link[length] = '\0';
  int total = link[0] == '/' ? snprintf(longer, sizeof longer, "%s/%s", link, rest)
                             : snprintf(longer, sizeof longer, "%s/%s/%s", prefix, link, rest);
  if (total < 0 || (size_t)total >= sizeof longer) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(path, longer, (size_t)total + 1);
  return 0;
}

/* Walks down `path`, makes what is missing. A link that leads to nothing is no reason to stop: what it names is made, as
 * many images link /etc/resolv.conf to a file that only a running system has. 1: `path` has changed, walk again. */
static int walk(int root, char *path, bool directory, mode_t mode, int *found) {
  int parent = open_in_root(root, "/", O_PATH | O_DIRECTORY);
  if (parent < 0) return -1;
  size_t start = 0;
  int result = 0;
  for (;;) {
    start += strspn(path + start, "/");
    if (path[start] == '\0') break;
    size_t end = start + strcspn(path + start, "/");
    const char *rest = path + end + strspn(path + end, "/");
    bool last = *rest == '\0';
    char name[NAME_MAX + 1];
    if (end - start > NAME_MAX) {
      errno = ENAMETOOLONG;
      result = -1;
      break;
    }
    memcpy(name, path + start, end - start);
    name[end - start] = '\0';

    char separator = path[end];
    path[end] = '\0';
    int next = open_in_root(root, path, O_PATH);
    if (next < 0 && errno == ENOENT) {
      result = make_one(parent, name, directory || !last, last ? mode : 0755);
      if (result == 0) next = open_in_root(root, path, O_PATH);
      else if (errno == EEXIST) {
        char prefix[PATH_MAX];
        snprintf(prefix, sizeof prefix, "%.*s", (int)start, path);
        path[end] = separator;
        char behind[PATH_MAX];
        snprintf(behind, sizeof behind, "%s", rest);
        result = follow(parent, name, prefix, behind, path) < 0 ? -1 : 1;
        break;
      }
    }
    path[end] = separator;
    if (next < 0) {
      result = -1;
      break;
    }
    close(parent);
    parent = next;
    start = end;
  }
  if (result == 0) *found = parent;
  else {
    int error = errno;
    close(parent);
    errno = error;
  }
  return result;
}

int make_in_root(int root, const char *path, bool directory, mode_t mode) {
  int fd = open_in_root(root, path, O_PATH);
  if (fd >= 0 || errno != ENOENT) return fd;
  char walked[PATH_MAX];
  if ((size_t)snprintf(walked, sizeof walked, "%s", path) >= sizeof walked) {
    errno = ENAMETOOLONG;
    return -1;
  }
  for (int links = 0; links < MAX_LINKS; links++) {
    int result = walk(root, walked, directory, mode, &fd);
    if (result <= 0) return result < 0 ? -1 : fd;
  }
  errno = ELOOP;
  return -1;
}

int make_parent_in_root(int root, const char *path, const char **name) {
  char parent[PATH_MAX];
  const char *slash = strrchr(path, '/');
  *name = slash == NULL ? path : slash + 1;
  size_t length = (size_t)(*name - path);
  if (length >= sizeof parent) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(parent, path, length);
  parent[length] = '\0';
  return make_in_root(root, length == 0 ? "/" : parent, true, 0755);
}
