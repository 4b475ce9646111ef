/* What the process is and may do. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/sched/types.h>
#include <linux/seccomp.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "container-init.h"

int make_session(struct context *context, struct arguments *arguments) {
  (void)context;
  if (all_taken(arguments) < 0) return -1;
  return setsid() < 0 ? -1 : 0;
}

int make_keyring(struct context *context, struct arguments *arguments) {
  (void)context;
  if (all_taken(arguments) < 0) return -1;
  /* A kernel without keys has no keyring that could be shared. */
  if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS) return -1;
  return 0;
}

int chown_descriptor(struct context *context, struct arguments *arguments) {
  (void)context;
  int fd = (int)take_u32(arguments);
  uid_t uid = take_u32(arguments);
  if (all_taken(arguments) < 0) return -1;
  return fchown(fd, uid, (gid_t)-1);
}

int take_null_input(struct context *context, struct arguments *arguments) {
  (void)context;
  if (all_taken(arguments) < 0) return -1;
  int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  int result = dup2(fd, 0);
  close(fd);
  return result;
}

int set_limit(struct context *context, struct arguments *arguments) {
  uint32_t resource = take_u32(arguments);
  struct rlimit limit = {.rlim_cur = take_u64(arguments)};
  limit.rlim_max = take_u64(arguments);
  if (all_taken(arguments) < 0) return -1;
  return prlimit(context->target, (enum __rlimit_resource)resource, &limit, NULL);
}

int set_scheduler(struct context *context, struct arguments *arguments) {
  struct sched_attr attributes = {.size = sizeof attributes};
  attributes.sched_policy = take_u32(arguments);
  attributes.sched_flags = take_u64(arguments);
  attributes.sched_nice = (int32_t)take_u32(arguments);
  attributes.sched_priority = take_u32(arguments);
  attributes.sched_runtime = take_u64(arguments);
  attributes.sched_deadline = take_u64(arguments);
  attributes.sched_period = take_u64(arguments);
  if (all_taken(arguments) < 0) return -1;
  return syscall(SYS_sched_setattr, context->target, &attributes, 0) < 0 ? -1 : 0;
}

int set_io_priority(struct context *context, struct arguments *arguments) {
  enum { IOPRIO_WHO_PROCESS = 1 };
  uint32_t value = take_u32(arguments);
  if (all_taken(arguments) < 0) return -1;
  return syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, context->target, value) < 0 ? -1 : 0;
}

int set_personality(struct context *context, struct arguments *arguments) {
  (void)context;
  uint32_t value = take_u32(arguments);
  if (all_taken(arguments) < 0) return -1;
  return personality(value) < 0 ? -1 : 0;
}

int set_affinity(struct context *context, struct arguments *arguments) {
  uint32_t length;
  const uint8_t *mask = take_bytes(arguments, &length);
  if (all_taken(arguments) < 0) return -1;
  return syscall(SYS_sched_setaffinity, context->target, (size_t)length, mask) < 0 ? -1 : 0;
}

/* A working directory from outside the root, such as one behind a descriptor in /proc/self/fd, gets "(unreachable)"
 * before its name (getcwd(2), CVE-2024-21626). */
static int enter(const char *path) {
  char where[PATH_MAX];
  if (chdir(path) < 0) return -1;
  if (syscall(SYS_getcwd, where, sizeof where) < 0) return -1;
  if (where[0] == '/') return 0;
  errno = EXDEV;
  return -1;
}

/* Root changes the directory first: a user may be given one that he cannot enter himself. */
int change_directory(struct context *context, struct arguments *arguments) {
  const char *path = take_string(arguments);
  if (all_taken(arguments) < 0) return -1;
  if (enter(path) == 0) return 0;
  context->directory_refused = errno == EACCES;
  return context->directory_refused ? 0 : -1;
}

/* And as the user where root was kept out: so do network file systems and user namespaces. */
int change_directory_as_user(struct context *context, struct arguments *arguments) {
  const char *path = take_string(arguments);
  if (all_taken(arguments) < 0) return -1;
  return context->directory_refused ? enter(path) : 0;
}

int set_umask(struct context *context, struct arguments *arguments) {
  (void)context;
  mode_t mask = take_u32(arguments);
  if (all_taken(arguments) < 0) return -1;
  umask(mask);
  return 0;
}

int drop_bounding_set(struct context *context, struct arguments *arguments) {
  (void)context;
  uint64_t kept = take_u64(arguments);
  if (all_taken(arguments) < 0) return -1;
  for (unsigned long number = 0; number < 64; number++) {
    if ((kept >> number & 1) != 0) continue;
    if (prctl(PR_CAPBSET_DROP, number, 0, 0, 0) == 0) continue;
    /* Past the kernel's last capability. */
    return errno == EINVAL ? 0 : -1;
  }
  return 0;
}

/* The permitted set survives the change of the user, or set_capabilities would have nothing to give. */
int set_identity(struct context *context, struct arguments *arguments) {
  (void)context;
  uid_t uid = take_u32(arguments);
  gid_t gid = take_u32(arguments);
  uint32_t count = take_u32(arguments);
  if (count > NGROUPS_MAX) {
    errno = EINVAL;
    return -1;
  }
  gid_t *groups = calloc((size_t)count + 1, sizeof *groups);
  if (groups == NULL) return -1;
  for (uint32_t i = 0; i < count; i++) groups[i] = take_u32(arguments);
  int result = all_taken(arguments);
  if (result == 0) result = prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
  if (result == 0) result = setgroups(count, groups);
  /* These calls of root set the saved ids, too, and are what a filter that was written for other runtimes lets through. */
  if (result == 0) result = setgid(gid);
  if (result == 0) result = setuid(uid);
  if (result == 0) result = prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
  free(groups);
  return result;
}

int set_capabilities(struct context *context, struct arguments *arguments) {
  (void)context;
  uint64_t effective = take_u64(arguments);
  uint64_t permitted = take_u64(arguments);
  uint64_t inheritable = take_u64(arguments);
  uint64_t ambient = take_u64(arguments);
  if (all_taken(arguments) < 0) return -1;
  struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct sets[] = {
      {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
      {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)},
  };
  if (syscall(SYS_capset, &head, sets) < 0) return -1;
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) return -1;
  for (unsigned long number = 0; number < 64; number++) {
    if ((ambient >> number & 1) != 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) < 0) return -1;
  }
  return 0;
}

int forbid_new_privileges(struct context *context, struct arguments *arguments) {
  (void)context;
  if (all_taken(arguments) < 0) return -1;
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* NULL and errno for what is no list of instructions. */
static struct filter *take_filter(struct arguments *arguments) {
  uint32_t flags = take_u32(arguments);
  uint32_t length;
  const uint8_t *bytes = take_bytes(arguments, &length);
  if (all_taken(arguments) < 0) return NULL;
  size_t count = length / sizeof(struct sock_filter);
  if (length % sizeof(struct sock_filter) != 0 || count > BPF_MAXINSNS) {
    errno = EINVAL;
    return NULL;
  }
  struct filter *filter = malloc(sizeof *filter + length);
  if (filter == NULL) return NULL;
  filter->flags = flags;
  filter->count = (unsigned short)count;
  memcpy(filter->instructions, bytes, length);
  return filter;
}

int load_filter(struct filter *filter) {
  struct sock_fprog program = {.len = filter->count, .filter = filter->instructions};
  long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, filter->flags, &program);
  /* The pid of a thread that it could not be given to. */
  if (result > 0) errno = ESRCH;
  return result == 0 ? 0 : -1;
}

int filter_calls(struct context *context, struct arguments *arguments) {
  (void)context;
  struct filter *filter = take_filter(arguments);
  if (filter == NULL) return -1;
  int result = load_filter(filter);
  int error = errno;
  free(filter);
  errno = error;
  return result;
}

int filter_calls_at_execute(struct context *context, struct arguments *arguments) {
  context->filter = take_filter(arguments);
  return context->filter == NULL ? -1 : 0;
}
