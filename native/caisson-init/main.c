/* The guest's PID 1: mounts the read-only root from the initramfs, sets the system up in it, and looks after the agent. */
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include "caisson-init.h"

#define ROOT_DEVICE "/dev/vda"
#define ROOT_TYPE "erofs"
#define NEW_ROOT "/root"
#define MODULE_LIST "/modules"
#define LATER_MODULE_LIST "/usr/lib/caisson/modules"

/* Node parses all root certificates that it brings once its http2 is loaded, unless it is to look for OpenSSL's: which the
 * agent, that makes no connection, has no use for. A thread would wait for SIGUSR1, which starts the debugger. */
static char *const agent[] = {"/usr/bin/node", "--use-openssl-ca", "--disable-sigusr1", "/usr/lib/caisson/agent.cjs", NULL};
static char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", NULL};

int main(void)
{
  if (getpid() != 1)
    return EXIT_FAILURE;
  if (mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755") < 0)
    die("mount devtmpfs on /dev");
  if (mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
    die("mount sysfs on /sys");
  load_modules(MODULE_LIST);
  /* No exec of a second program in the new root: reading that took 0.15 s under emulation, the mapped 0.8 MB that
   * stay in the initramfs are shared by all clones of a template. */
  switch_root(ROOT_DEVICE, ROOT_TYPE, NEW_ROOT);
  mount_system();
  load_modules(LATER_MODULE_LIST);
  configure_system();
  supervise(agent, environment);
}
