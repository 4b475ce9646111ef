/* The guest's PID 1: first from the initramfs, up to the read-only root; then in that root, for good. */
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "caisson-init.h"

#define ROOT_DEVICE "/dev/vda"
#define ROOT_TYPE "erofs"
#define NEW_ROOT "/root"
#define MODULE_LIST "/usr/lib/caisson/modules"
#define SECOND_STAGE "/usr/lib/caisson/caisson-init"

static char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=linux", NULL};

static void from_initramfs(void)
{
  if (mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755") < 0)
    die("mount devtmpfs on /dev");
  if (mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
    die("mount sysfs on /sys");
  load_modules(MODULE_LIST);
  switch_root(ROOT_DEVICE, ROOT_TYPE, NEW_ROOT);
  char *const arguments[] = {"caisson-init", NULL};
  execve(SECOND_STAGE, arguments, environment);
  die("execute " SECOND_STAGE);
}

static void from_root(void)
{
  char *const agent[] = {"/usr/bin/node", "/usr/lib/caisson/agent.cjs", NULL};
  mount_system();
  load_modules(MODULE_LIST);
  configure_system();
  supervise(agent, environment);
}

int main(void)
{
  if (getpid() != 1)
    return EXIT_FAILURE;
  struct statfs root;
  if (statfs("/", &root) < 0)
    die("statfs /");
  /* The kernel unpacks an initramfs into ramfs, or into tmpfs when no root= is given. */
  if (root.f_type == RAMFS_MAGIC || root.f_type == TMPFS_MAGIC)
    from_initramfs();
  from_root();
}
