#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "container-init.h"

static pid_t clone3(struct clone_args *arguments) {
  return (pid_t)syscall(SYS_clone3, arguments, sizeof *arguments);
}

/* From the supervisor: makes the container's process. From there: makes its successor, a child of the supervisor, too,
 * as a pid namespace that was unshared or joined only takes in children. The kernel puts the child into the cgroup
 * before it runs; moving it there later would wait for a grace period (cgroup-v2.rst, clone(2) CLONE_INTO_CGROUP). */
int make_process(struct context *context, struct arguments *arguments) {
  uint64_t flags = take_u64(arguments);
  const char *cgroup = take_string(arguments);
  if (all_taken(arguments) < 0) return -1;

  int pidfd = -1;
  int link[2] = {-1, -1};
  struct clone_args clone = {.flags = flags};
  if (context->forked) clone.flags |= CLONE_PARENT;
  else {
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) < 0) return -1;
    clone.flags |= CLONE_PIDFD;
    clone.pidfd = (uint64_t)(uintptr_t)&pidfd;
    clone.exit_signal = SIGCHLD;
  }
  if (*cgroup != '\0') {
    int fd = open(cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -1;
    clone.flags |= CLONE_INTO_CGROUP;
    clone.cgroup = (uint64_t)fd;
  }
  pid_t pid = clone3(&clone);
  if (pid < 0) return -1;
  if (*cgroup != '\0') close((int)clone.cgroup);

  if (pid > 0 && context->forked) {
    send_packet(context, PACKET_FORKED, pid);
    _exit(EXIT_SUCCESS);
  }
  if (pid > 0) {
    close(link[1]);
    context->link = link[0];
    context->target = pid;
    supervise(context, pidfd);
  }
  /* The agent's policy is not the container's (native/caisson-init/supervise.c). */
  if (sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0}) < 0) return -1;
  /* With the supervisor goes everybody who would hear of this process. */
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return -1;
  if (context->forked) {
    /* Until the supervisor knows who we are, it would take our requests for our predecessor's. */
    char byte;
    return recv(context->link, &byte, 1, 0) == 1 ? 0 : -1;
  }
  close(link[0]);
  close(CONTROL_FD);
  context->link = link[1];
  context->forked = true;
  return 0;
}

int open_namespace(struct context *context, struct arguments *arguments) {
  uint32_t slot = take_u32(arguments);
  const char *path = take_string(arguments);
  if (all_taken(arguments) < 0) return -1;
  if (slot >= NAMESPACE_SLOTS) {
    errno = EBADMSG;
    return -1;
  }
  context->namespaces[slot] = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  return context->namespaces[slot] < 0 ? -1 : 0;
}

int set_namespace(struct context *context, struct arguments *arguments) {
  uint32_t slot = take_u32(arguments);
  uint32_t type = take_u32(arguments);
  if (all_taken(arguments) < 0) return -1;
  if (slot >= NAMESPACE_SLOTS) {
    errno = EBADMSG;
    return -1;
  }
  return setns(context->namespaces[slot], (int)type);
}

int open_process(struct context *context, struct arguments *arguments) {
  uint32_t pid = take_u32(arguments);
  if (all_taken(arguments) < 0) return -1;
  context->process = pidfd_open((pid_t)pid, 0);
  return context->process < 0 ? -1 : 0;
}

int join_process(struct context *context, struct arguments *arguments) {
  uint32_t types = take_u32(arguments);
  if (all_taken(arguments) < 0) return -1;
  return setns(context->process, (int)types);
}

int unshare_namespaces(struct context *context, struct arguments *arguments) {
  (void)context;
  uint32_t flags = take_u32(arguments);
  if (all_taken(arguments) < 0) return -1;
  return unshare((int)flags);
}

/* In one piece: the kernel takes id maps and most settings by one write only. */
static int write_whole(const char *path, const char *data) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  size_t length = strlen(data);
  ssize_t count = write(fd, data, length);
  int error = count < 0 ? errno : EIO;
  close(fd);
  if (count >= 0 && (size_t)count == length) return 0;
  errno = error;
  return -1;
}

int write_proc(struct context *context, struct arguments *arguments) {
  const char *file = take_string(arguments);
  const char *data = take_string(arguments);
  if (all_taken(arguments) < 0) return -1;
  char path[64];
  if (context->target == 0) snprintf(path, sizeof path, "/proc/self/%s", file);
  else snprintf(path, sizeof path, "/proc/%d/%s", context->target, file);
  return write_whole(path, data);
}

int write_file(struct context *context, struct arguments *arguments) {
  (void)context;
  const char *path = take_string(arguments);
  const char *data = take_string(arguments);
  if (all_taken(arguments) < 0) return -1;
  return write_whole(path, data);
}

int bring_loopback_up(struct context *context, struct arguments *arguments) {
  (void)context;
  if (all_taken(arguments) < 0) return -1;
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  int result = ioctl(fd, SIOCSIFFLAGS, &request);
  int error = errno;
  close(fd);
  errno = error;
  return result;
}

int set_hostname(struct context *context, struct arguments *arguments) {
  (void)context;
  const char *name = take_string(arguments);
  if (all_taken(arguments) < 0) return -1;
  return sethostname(name, strlen(name));
}

int set_domainname(struct context *context, struct arguments *arguments) {
  (void)context;
  const char *name = take_string(arguments);
  if (all_taken(arguments) < 0) return -1;
  return setdomainname(name, strlen(name));
}
