#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caisson-init.h"

#define DEVICE_WAIT_MS 10000

/* The driver's probe makes the node before finit_module returns, on every machine seen. A kernel that probes
 * asynchronously makes it later: devtmpfs tells of that through inotify. */
static void wait_for_device(const char *device)
{
  if (access(device, F_OK) == 0)
    return;
  int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (watch < 0 || inotify_add_watch(watch, "/dev", IN_CREATE) < 0)
    die("watch /dev");
  struct pollfd wait = {.fd = watch, .events = POLLIN};
  while (access(device, F_OK) < 0) {
    int ready = poll(&wait, 1, DEVICE_WAIT_MS);
    if (ready == 0) {
      errno = ENOENT;
      die("no root device %s within %d s: does the VM have a virtio block device?", device, DEVICE_WAIT_MS / 1000);
    }
    char events[4096];
    while (read(watch, events, sizeof events) > 0)
      continue;
  }
  close(watch);
}

/* Frees the memory of the initramfs: nothing can reach its files once another root covers them. Stays on its own file
 * system, so what is mounted in it is safe. */
static void remove_tree(int folder, dev_t device)
{
  DIR *stream = fdopendir(folder);
  if (stream == NULL) {
    close(folder);
    return;
  }
  for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
    if (entry->d_name[0] == '.' && (entry->d_name[1] == '\0' || (entry->d_name[1] == '.' && entry->d_name[2] == '\0')))
      continue;
    struct stat status;
    if (fstatat(dirfd(stream), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0 || status.st_dev != device)
      continue;
    if (!S_ISDIR(status.st_mode)) {
      unlinkat(dirfd(stream), entry->d_name, 0);
      continue;
    }
    int child = openat(dirfd(stream), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (child >= 0)
      remove_tree(child, device);
    unlinkat(dirfd(stream), entry->d_name, AT_REMOVEDIR);
  }
  closedir(stream);
}

void switch_root(const char *device, const char *type, const char *target)
{
  wait_for_device(device);
  if (mount(device, target, type, MS_RDONLY, NULL) < 0)
    die("mount %s as %s", device, type);
  if (umount2("/sys", MNT_DETACH) < 0 || umount2("/dev", MNT_DETACH) < 0)
    die("unmount /sys and /dev");
  int old = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat status;
  if (old < 0 || fstat(old, &status) < 0)
    die("open the initramfs");
  if (chdir(target) < 0)
    die("enter %s", target);
  remove_tree(old, status.st_dev);
  /* The kernel's first root cannot be unmounted or pivoted away (pivot_root(2)); it is covered instead. */
  if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
    die("switch to the root on %s", device);
}
