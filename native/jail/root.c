#include "jail.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The new root is mounted over a directory that each host has, and none of what is shown comes from. */
static const char ROOT[] = "/proc";
/* Directories, mount points and device nodes: all that is kept in it. */
static const char ROOT_SIZE[] = "mode=0755,size=256k,nr_inodes=512";
/* This /proc shows nothing of the kernel and of processes other than the program's own (proc(5)). */
static const char PROCESSES_ONLY[] = "hidepid=2,subset=pid";

static void within_root(char into[PATH_MAX], const char *path) {
  errno = ENAMETOOLONG;
  if (snprintf(into, PATH_MAX, "%s%s", ROOT, path) >= PATH_MAX) fail("show", path);
}

/* The directories on the way to a path. */
static void make_parents(char *path) {
  for (char *at = path + sizeof ROOT; (at = strchr(at, '/')) != NULL; at++) {
    *at = '\0';
    if (mkdir(path, 0755) < 0 && errno != EEXIST) fail("make the directory", path);
    *at = '/';
  }
}

static void make_mount_point(char *path, bool is_directory) {
  make_parents(path);
  if (is_directory) {
    if (mkdir(path, 0755) < 0 && errno != EEXIST) fail("make the directory", path);
    return;
  }
  if (mknod(path, S_IFREG | 0644, 0) < 0 && errno != EEXIST) fail("make the file", path);
}

static void show(const char *path) {
  static const unsigned long FLAGS = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV;
  char target[PATH_MAX];
  struct stat status;
  if (stat(path, &status) < 0) fail("show", path);
  within_root(target, path);
  make_mount_point(target, S_ISDIR(status.st_mode));
  if (mount(path, target, NULL, MS_BIND, NULL) < 0 || mount(NULL, target, NULL, FLAGS, NULL) < 0) fail("show", path);
}

static void make_device(const char *path, uid_t owner) {
  char target[PATH_MAX];
  struct stat status;
  if (stat(path, &status) < 0) fail("show", path);
  errno = ENODEV;
  if (!S_ISCHR(status.st_mode)) fail("show", path);
  within_root(target, path);
  make_parents(target);
  if (mknod(target, S_IFCHR | 0600, status.st_rdev) < 0 || chown(target, owner, owner) < 0) fail("make", target);
}

static void mount_processes(void) {
  char target[PATH_MAX];
  within_root(target, "/proc");
  make_mount_point(target, true);
  if (mount("proc", target, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, PROCESSES_ONLY) < 0) fail("mount", "/proc");
}

/* The old root ends up on top of the new one, and goes (pivot_root(2), "pivot_root(".", ".")"). */
static void leave_old_root(void) {
  if (chdir(ROOT) < 0 || syscall(SYS_pivot_root, ".", ".") < 0) fail("change", "the root file system");
  if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0) fail("leave", "the host's root file system");
}

void enter_root(const struct plan *plan) {
  if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWNET) < 0)
    fail("make namespaces", NULL);
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) fail("keep mounts to itself", NULL);
  if (mount("jail", ROOT, "tmpfs", MS_NOSUID, ROOT_SIZE) < 0) fail("mount", "a root file system");
  for (int each = 0; each < plan->shown_count; each++) show(plan->shown[each]);
  for (int each = 0; each < plan->device_count; each++) make_device(plan->devices[each], plan->uid);
  mount_processes();
  leave_old_root();
  unsigned long devices = plan->device_count > 0 ? 0 : MS_NODEV;
  if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | devices, ROOT_SIZE) < 0)
    fail("make read-only", "the root file system");
}
