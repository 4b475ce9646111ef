/* Writes this process of Node.js to a file, from which others go on here (snapshot.h). */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "../napi.h"
#include "dump.h"

static struct restored *volatile restored;

static bool write_snapshot(struct snapshot *snapshot, const char *path, int first) {
  int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return false;
  memcpy(snapshot->magic, MAGIC, sizeof MAGIC);
  snapshot->version = SNAPSHOT_VERSION;
  snapshot->size = sizeof *snapshot;
  snapshot->restored = (uint64_t)&restored;
  return close_after(file, read_state(snapshot) && read_descriptors(snapshot, first, file) && write_memory(snapshot, file) &&
                               pwrite(file, snapshot, sizeof *snapshot, 0) == (ssize_t)sizeof *snapshot);
}

/* What Node.js and its libraries do at a start or after a fork, of which this process knows nothing. */
static bool begin_anew(napi_env env) {
  environ = restored->environment;
  /* Random numbers would be those of all others. */
  int (*reseed)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "RAND_poll");
  uv_loop_t *loop;
  if (reseed == NULL || reseed() != 1 || napi_get_uv_event_loop(env, &loop) != napi_ok || uv_loop_fork(loop) != 0) return false;
  /* A timer that is set now would have run out long ago. */
  uv_update_time(loop);
  return true;
}

static napi_value tell_restored(napi_env env) {
  napi_value told, words, word;
  if (napi_create_object(env, &told) != napi_ok || napi_create_array(env, &words) != napi_ok ||
      napi_set_named_property(env, told, "words", words) != napi_ok || !set_int(env, told, "pid", getpid()))
    return NULL;
  for (uint32_t at = 0; restored->words[at] != NULL; at++)
    if (napi_create_string_utf8(env, restored->words[at], NAPI_AUTO_LENGTH, &word) != napi_ok ||
        napi_set_element(env, words, at, word) != napi_ok)
      return NULL;
  return told;
}

/*
 * Writes the snapshot from a fork, which has this thread only and of which the libraries know that it is one (pthread_atfork()).
 * Returns an errno; in a restored process -1.
 */
static int write_from_fork(const char *path, int first) {
  if (!leave_all_to_forks()) return errno;
  pid_t writer = fork();
  if (writer < 0) return errno;
  int status;
  if (writer > 0) return waitpid(writer, &status, 0) == writer && WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
  struct snapshot *snapshot = mmap(NULL, sizeof *snapshot, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (snapshot == MAP_FAILED) _exit(errno);
  if (save_context(&snapshot->context) != 0) return -1;
  _exit(write_snapshot(snapshot, path, first) ? 0 : errno);
}

/* dump(path, first): undefined; in a restored process its pid and the words that it was given. */
static napi_value dump(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  int first;
  char *path;
  if (!read_arguments(env, info, 2, arguments) || !read_int(env, arguments[1], &first) || !read_string(env, arguments[0], false, &path))
    return NULL;
  int error = write_from_fork(path, first);
  napi_value result = NULL;
  if (error > 0) throw_errno(env, error, "dump", path);
  else if (error == 0) result = make_undefined(env);
  else if (begin_anew(env)) result = tell_restored(env);
  else _exit(127);
  free(path);
  return result;
}

NAPI_MODULE_INIT() {
  napi_value function;
  if (napi_create_function(env, "dump", NAPI_AUTO_LENGTH, dump, NULL, &function) != napi_ok ||
      napi_set_named_property(env, exports, "dump", function) != napi_ok)
    return NULL;
  return exports;
}
