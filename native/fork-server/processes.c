#include "fork-server.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

static int processes = -1;

bool take_processes(void) {
  processes = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (processes < 0) return failed("open /proc");
  if (unshare(CLONE_NEWNS) < 0) return failed("make a mount namespace");
  /* Outside of a jail the namespace that this one is a copy of would lose it, too. */
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return failed("keep mounts to itself");
  if (umount2("/proc", MNT_DETACH) < 0) return failed("leave /proc");
  return true;
}

int open_own(const char *name, int flags) {
  char path[64];
  snprintf(path, sizeof path, "self/%s", name);
  return openat(processes, path, flags | O_CLOEXEC);
}

bool replace_processes(void) {
  /* As native/jail has it. */
  static const unsigned long FLAGS = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (close(processes) < 0) return failed("leave the server's /proc");
  if (mount("proc", "/proc", "proc", FLAGS, "hidepid=2,subset=pid") < 0) return failed("mount /proc");
  return true;
}
