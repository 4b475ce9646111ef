#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/random.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define NANOSECONDS INT64_C(1000000000)

napi_value posix_clock_settime(napi_env env, napi_callback_info info) {
  napi_value argument;
  int64_t nanoseconds;
  bool lossless = false;
  if (!read_arguments(env, info, 1, &argument)) return NULL;
  if (napi_get_value_bigint_int64(env, argument, &nanoseconds, &lossless) != napi_ok || !lossless || nanoseconds < 0) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "The time must be a bigint of nanoseconds since the epoch.");
    return NULL;
  }
  struct timespec time = {.tv_sec = nanoseconds / NANOSECONDS, .tv_nsec = nanoseconds % NANOSECONDS};
  if (clock_settime(CLOCK_REALTIME, &time) < 0) return throw_errno(env, errno, "clock_settime", NULL);
  return make_undefined(env);
}

napi_value posix_realtime(napi_env env, napi_callback_info info) {
  (void)info;
  struct timespec time;
  if (clock_gettime(CLOCK_REALTIME, &time) < 0) return throw_errno(env, errno, "clock_gettime", NULL);
  napi_value result;
  if (napi_create_bigint_int64(env, time.tv_sec * NANOSECONDS + time.tv_nsec, &result) != napi_ok) return NULL;
  return result;
}

/* Reads the one argument of those that change the clock; throws, and returns false, when it is none. */
static bool read_difference(napi_env env, napi_callback_info info, int64_t *nanoseconds) {
  napi_value argument;
  bool lossless = false;
  if (!read_arguments(env, info, 1, &argument)) return false;
  if (napi_get_value_bigint_int64(env, argument, nanoseconds, &lossless) == napi_ok && lossless) return true;
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "The difference must be a bigint of nanoseconds.");
  return false;
}

napi_value posix_adjust_realtime(napi_env env, napi_callback_info info) {
  int64_t nanoseconds;
  if (!read_difference(env, info, &nanoseconds)) return NULL;
  /* The kernel wants the part below the second positive (clock_adjtime(2)). */
  int64_t rest = (nanoseconds % NANOSECONDS + NANOSECONDS) % NANOSECONDS;
  struct timex change = {.modes = ADJ_SETOFFSET | ADJ_NANO};
  change.time.tv_sec = (nanoseconds - rest) / NANOSECONDS;
  change.time.tv_usec = rest;
  if (clock_adjtime(CLOCK_REALTIME, &change) < 0) return throw_errno(env, errno, "clock_adjtime", NULL);
  return make_undefined(env);
}

napi_value posix_slew_realtime(napi_env env, napi_callback_info info) {
  int64_t nanoseconds;
  if (!read_difference(env, info, &nanoseconds)) return NULL;
  struct timex change = {.modes = ADJ_OFFSET_SINGLESHOT, .offset = nanoseconds / 1000};
  if (adjtimex(&change) < 0) return throw_errno(env, errno, "adjtimex", NULL);
  return make_undefined(env);
}

napi_value posix_add_entropy(napi_env env, napi_callback_info info) {
  napi_value argument;
  void *seed;
  size_t length;
  if (!read_arguments(env, info, 1, &argument) || !read_bytes(env, argument, &seed, &length)) return NULL;
  enum { SEED_LIMIT = 4096 };
  if (length == 0 || length > SEED_LIMIT) return throw_errno(env, EINVAL, "ioctl", "RNDADDENTROPY");
  struct {
    struct rand_pool_info head;
    unsigned char bytes[SEED_LIMIT];
  } pool = {.head = {.entropy_count = (int)length * 8, .buf_size = (int)length}};
  memcpy(pool.bytes, seed, length);
  int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
  if (fd < 0) return throw_errno(env, errno, "open", "/dev/urandom");
  /* Adding only feeds the input pool; the generator that clones share keeps its key until it is told to reseed
     (random(4)). */
  const char *step = "RNDADDENTROPY";
  int status = ioctl(fd, RNDADDENTROPY, &pool);
  if (status == 0) {
    step = "RNDRESEEDCRNG";
    status = ioctl(fd, RNDRESEEDCRNG, 0);
  }
  int error = errno;
  close(fd);
  explicit_bzero(&pool, sizeof pool);
  if (status < 0) return throw_errno(env, error, "ioctl", step);
  return make_undefined(env);
}

static int load_device_filter(const void *program, size_t length, char *log, size_t log_size) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.insns = (uint64_t)(uintptr_t)program;
  attributes.insn_cnt = (uint32_t)(length / sizeof(struct bpf_insn));
  attributes.license = (uint64_t)(uintptr_t) "Apache-2.0";
  if (log != NULL) {
    attributes.log_buf = (uint64_t)(uintptr_t)log;
    attributes.log_size = (uint32_t)log_size;
    attributes.log_level = 1;
  }
  return (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes);
}

napi_value posix_load_device_filter(napi_env env, napi_callback_info info) {
  napi_value argument;
  void *program;
  size_t length;
  if (!read_arguments(env, info, 1, &argument) || !read_bytes(env, argument, &program, &length)) return NULL;
  if (length == 0 || length % sizeof(struct bpf_insn) != 0) return throw_errno(env, EINVAL, "bpf", "BPF_PROG_LOAD");
  int filter = load_device_filter(program, length, NULL, 0);
  if (filter < 0) {
    int error = errno;
    /* A second try with a log, since only the log says which instruction the verifier refused. */
    char log[65536];
    log[0] = '\0';
    filter = load_device_filter(program, length, log, sizeof log);
    if (filter < 0) {
      size_t used = strnlen(log, sizeof log - 1);
      const char *tail = used > 200 ? log + used - 200 : log;
      log[used] = '\0';
      return throw_errno(env, error, "bpf", used > 0 ? tail : "BPF_PROG_LOAD");
    }
  }
  return make_int(env, filter);
}

napi_value posix_attach_device_filter(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  int cgroup_fd, filter_fd, replaced_fd;
  if (!read_arguments(env, info, 3, arguments) || !read_int(env, arguments[0], &cgroup_fd) ||
      !read_int(env, arguments[1], &filter_fd) || !read_int(env, arguments[2], &replaced_fd))
    return NULL;
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.target_fd = (uint32_t)cgroup_fd;
  attributes.attach_bpf_fd = (uint32_t)filter_fd;
  attributes.attach_type = BPF_CGROUP_DEVICE;
  attributes.attach_flags = BPF_F_ALLOW_MULTI;
  if (replaced_fd >= 0) {
    attributes.attach_flags |= BPF_F_REPLACE;
    attributes.replace_bpf_fd = (uint32_t)replaced_fd;
  }
  if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attributes, sizeof attributes) < 0)
    return throw_errno(env, errno, "bpf", "BPF_PROG_ATTACH");
  return make_undefined(env);
}

napi_value posix_read_tsc(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result;
  /* Not serialised: the callers compare readings milliseconds apart. */
  if (napi_create_bigint_uint64(env, __rdtsc(), &result) != napi_ok) return NULL;
  return result;
}
