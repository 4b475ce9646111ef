#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caisson-init.h"

#define CGROUP "/sys/fs/cgroup"
#define MAX_OPEN_FILES 1048576

/* Not bpf on /sys/fs/bpf: its first mount makes the kernel run modprobe and load its preloaded programs, 0.2 s under
 * emulation that no container has asked for. */
static const struct {
  const char *type;
  const char *target;
  unsigned long flags;
  const char *options;
} mounts[] = {
    {"proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"cgroup2", CGROUP, MS_NOSUID | MS_NODEV | MS_NOEXEC, "nsdelegate,memory_recursiveprot"},
    {"devtmpfs", "/dev", MS_NOSUID, "mode=0755"},
    {"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=0620,ptmxmode=0666,gid=5"},
    {"tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777"},
    {"mqueue", "/dev/mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755"},
    {"tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777"},
};

static const struct {
  const char *target;
  const char *name;
} links[] = {
    {"/proc/self/fd", "/dev/fd"},
    {"/proc/self/fd/0", "/dev/stdin"},
    {"/proc/self/fd/1", "/dev/stdout"},
    {"/proc/self/fd/2", "/dev/stderr"},
};

void write_file(const char *path, const char *text)
{
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) < 0)
    die("write %s to %s", text, path);
  close(fd);
}

/* "cpu memory pids" becomes "+cpu +memory +pids". */
static void enable_controllers(void)
{
  char names[1024];
  int fd = open(CGROUP "/cgroup.controllers", O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    die("open " CGROUP "/cgroup.controllers");
  ssize_t length = read(fd, names, sizeof names - 1);
  if (length < 0)
    die("read " CGROUP "/cgroup.controllers");
  close(fd);
  names[length] = '\0';
  fd = open(CGROUP "/cgroup.subtree_control", O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    die("open " CGROUP "/cgroup.subtree_control");
  char *rest = NULL;
  for (char *name = strtok_r(names, " \n", &rest); name != NULL; name = strtok_r(NULL, " \n", &rest)) {
    char command[64];
    int size = snprintf(command, sizeof command, "+%s", name);
    if (write(fd, command, (size_t)size) != size)
      die("enable the cgroup controller %s", name);
  }
  close(fd);
}

void mount_system(void)
{
  umask(0);
  for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
    /* The image has every other mount point; these are on devtmpfs. */
    if (strncmp(mounts[i].target, "/dev/", 5) == 0 && mkdir(mounts[i].target, 0755) < 0 && errno != EEXIST)
      die("mkdir %s", mounts[i].target);
    if (mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags, mounts[i].options) < 0)
      die("mount %s on %s", mounts[i].type, mounts[i].target);
  }
  for (size_t i = 0; i < sizeof links / sizeof *links; i++)
    if (symlink(links[i].target, links[i].name) < 0 && errno != EEXIST)
      die("link %s", links[i].name);
  umask(022);
  enable_controllers();
}

static void loopback_up(void)
{
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
    die("bring the loopback interface up");
  close(fd);
}

void configure_system(void)
{
  if (sethostname("caisson", strlen("caisson")) < 0)
    die("set the host name");
  loopback_up();
  struct rlimit files = {.rlim_cur = MAX_OPEN_FILES, .rlim_max = MAX_OPEN_FILES};
  if (setrlimit(RLIMIT_NOFILE, &files) < 0)
    die("raise the limit of open files");
}
