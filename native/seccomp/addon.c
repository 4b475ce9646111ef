/* libseccomp for Node: names to numbers, and rules to a classic BPF program. */
#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "napi.h"

#define FUNCTION(name, function) {name, NULL, function, NULL, NULL, NULL, napi_enumerable, NULL}
#define CONSTANT(name) {#name, name}

/* A system call has six arguments at most (syscall(2)). */
enum { MAX_CONDITIONS = 6 };

static const struct {
  const char *name;
  int64_t value;
} constants[] = {
    CONSTANT(SCMP_ACT_KILL_PROCESS), CONSTANT(SCMP_ACT_KILL_THREAD), CONSTANT(SCMP_ACT_TRAP),
    CONSTANT(SCMP_ACT_LOG),          CONSTANT(SCMP_ACT_ALLOW),       {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0)},
    {"SCMP_ACT_TRACE", SCMP_ACT_TRACE(0)},
    CONSTANT(SCMP_ARCH_X86),         CONSTANT(SCMP_ARCH_X86_64),     CONSTANT(SCMP_ARCH_X32),
    CONSTANT(SCMP_CMP_NE),           CONSTANT(SCMP_CMP_LT),          CONSTANT(SCMP_CMP_LE),
    CONSTANT(SCMP_CMP_EQ),           CONSTANT(SCMP_CMP_GE),          CONSTANT(SCMP_CMP_GT),
    CONSTANT(SCMP_CMP_MASKED_EQ),    CONSTANT(__NR_SCMP_ERROR),
};

static napi_value resolve(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  uint32_t architecture;
  char *name;
  if (!read_arguments(env, info, 2, arguments) || !read_uint32(env, arguments[0], &architecture) ||
      !read_string(env, arguments[1], false, &name))
    return NULL;
  int number = seccomp_syscall_resolve_name_arch(architecture, name);
  free(name);
  return make_int(env, number);
}

/* A filter that is being compiled: libseccomp takes tens of milliseconds for an engine's profile, so a thread of libuv's
 * does it. */
struct job {
  napi_async_work work;
  napi_deferred deferred;
  uint32_t action;
  uint32_t optimize;
  uint32_t *architectures;
  size_t architecture_count;
  uint64_t *words;
  size_t length;
  const char *call; /* what failed with `error`, at the rule of that number */
  int error;
  int64_t rule;
  void *program;
  size_t program_length;
};

static void free_job(struct job *job) {
  free(job->architectures);
  free(job->words);
  free(job->program);
  free(job);
}

/* A copy: JavaScript may change its own while the thread reads. */
static bool read_words(napi_env env, napi_value value, napi_typedarray_type wanted, size_t size, size_t *length,
                       void **words) {
  napi_typedarray_type type;
  bool is_array;
  void *data;
  if (napi_is_typedarray(env, value, &is_array) != napi_ok || !is_array ||
      napi_get_typedarray_info(env, value, &type, length, &data, NULL, NULL) != napi_ok || type != wanted) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "The argument must be a typed array of the right type.");
    return false;
  }
  *words = malloc(*length * size + 1);
  if (*words == NULL) {
    throw_errno(env, ENOMEM, "malloc", NULL);
    return false;
  }
  memcpy(*words, data, *length * size);
  return true;
}

/* A rule is its action, its system call, the number of its conditions, and four words for each of those. Returns the
 * number of words taken, or a negative errno. */
static ssize_t add_rule(scmp_filter_ctx filter, const uint64_t *words, size_t length) {
  struct scmp_arg_cmp conditions[MAX_CONDITIONS];
  if (length < 3 || words[2] > MAX_CONDITIONS || length < 3 + 4 * words[2]) return -EINVAL;
  unsigned int count = (unsigned int)words[2];
  for (unsigned int i = 0; i < count; i++) {
    const uint64_t *condition = words + 3 + 4 * (size_t)i;
    conditions[i] = (struct scmp_arg_cmp){.arg = (unsigned int)condition[0], .op = (enum scmp_compare)condition[1],
                                          .datum_a = condition[2], .datum_b = condition[3]};
  }
  int result = seccomp_rule_add_array(filter, (uint32_t)words[0], (int)(int64_t)words[1], count, conditions);
  return result < 0 ? result : 3 + 4 * (ssize_t)count;
}

/* libseccomp 2.5 exports to a descriptor only; a file in memory takes any length without a reader. A negative errno. */
static int export_program(scmp_filter_ctx filter, struct job *job) {
  struct stat status;
  int fd = memfd_create("seccomp", MFD_CLOEXEC);
  if (fd < 0) return -errno;
  int result = seccomp_export_bpf(filter, fd);
  if (result == 0 && fstat(fd, &status) < 0) result = -errno;
  if (result == 0) {
    job->program_length = (size_t)status.st_size;
    job->program = malloc(job->program_length + 1);
    if (job->program == NULL) result = -ENOMEM;
    else if (pread(fd, job->program, job->program_length, 0) != status.st_size) result = -EIO;
  }
  close(fd);
  return result;
}

static int build(scmp_filter_ctx filter, struct job *job) {
  job->call = "seccomp_attr_set";
  int result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, job->optimize);
  if (result < 0) return result;
  job->call = "seccomp_arch_add";
  for (size_t i = 0; i < job->architecture_count; i++) {
    result = seccomp_arch_add(filter, job->architectures[i]);
    if (result < 0 && result != -EEXIST) return result;
  }
  job->call = "seccomp_rule_add_array";
  for (size_t at = 0; at < job->length; job->rule++) {
    ssize_t taken = add_rule(filter, job->words + at, job->length - at);
    if (taken < 0) return (int)taken;
    at += (size_t)taken;
  }
  job->rule = -1;
  job->call = "seccomp_export_bpf";
  return export_program(filter, job);
}

static void run(napi_env env, void *data) {
  (void)env;
  struct job *job = data;
  job->call = "seccomp_init";
  scmp_filter_ctx filter = seccomp_init(job->action);
  job->error = filter == NULL ? EINVAL : -build(filter, job);
  seccomp_release(filter);
}

static void finish(napi_env env, napi_status status, void *data) {
  (void)status;
  struct job *job = data;
  napi_value value = NULL;
  if (job->error == 0) {
    if (napi_create_buffer_copy(env, job->program_length, job->program, NULL, &value) == napi_ok)
      napi_resolve_deferred(env, job->deferred, value);
  } else {
    value = make_error(env, job->error, job->call, NULL);
    if (value != NULL && set_int(env, value, "rule", job->rule)) napi_reject_deferred(env, job->deferred, value);
  }
  napi_delete_async_work(env, job->work);
  free_job(job);
}

static napi_value compile(napi_env env, napi_callback_info info) {
  napi_value arguments[4], promise, name;
  struct job *job = calloc(1, sizeof *job);
  if (job == NULL) return throw_errno(env, ENOMEM, "calloc", NULL);
  if (read_arguments(env, info, 4, arguments) && read_uint32(env, arguments[0], &job->action) &&
      read_words(env, arguments[1], napi_uint32_array, sizeof *job->architectures, &job->architecture_count,
                 (void **)&job->architectures) &&
      read_words(env, arguments[2], napi_biguint64_array, sizeof *job->words, &job->length, (void **)&job->words) &&
      read_uint32(env, arguments[3], &job->optimize) &&
      napi_create_string_utf8(env, "seccomp", NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_create_async_work(env, NULL, name, run, finish, job, &job->work) == napi_ok) {
    if (napi_create_promise(env, &job->deferred, &promise) == napi_ok &&
        napi_queue_async_work(env, job->work) == napi_ok)
      return promise;
    napi_delete_async_work(env, job->work);
  }
  free_job(job);
  return NULL;
}

NAPI_MODULE_INIT() {
  const napi_property_descriptor functions[] = {FUNCTION("resolve", resolve), FUNCTION("compile", compile)};
  napi_value object;
  /* The program is for the guest's kernel: what this host's kernel can do must not shape it. 6 is all that 2.5 knows. */
  seccomp_api_set(6);
  if (napi_define_properties(env, exports, sizeof functions / sizeof functions[0], functions) != napi_ok ||
      napi_create_object(env, &object) != napi_ok)
    return NULL;
  for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++)
    if (!set_int(env, object, constants[i].name, constants[i].value)) return NULL;
  if (napi_set_named_property(env, exports, "constants", object) != napi_ok) return NULL;
  return exports;
}
