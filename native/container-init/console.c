/* The terminal: a pty of the container's own devpts. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include "../place.h"
#include "container-init.h"

/* In a running container anything may lie there, a FIFO that never answers, too. */
static int open_multiplexer(struct context *context) {
  int fd = open_in_root(root_of(context), "/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return -1;
  struct stat status;
  if (fstat(fd, &status) < 0) return close_and_return(fd, -1);
  if (S_ISCHR(status.st_mode) && status.st_rdev == makedev(5, 2)) return fd;
  errno = ENOTTY;
  return close_and_return(fd, -1);
}

static int send_descriptor(int socket, int fd) {
  struct iovec data = {.iov_base = "", .iov_len = 1};
  union {
    struct cmsghdr head;
    char space[CMSG_SPACE(sizeof(int))];
  } control = {0};
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(head), &fd, sizeof(int));
  return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

static int bind_console(struct context *context, int slave) {
  int tree = open_tree(slave, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
  if (tree < 0) return -1;
  return close_and_return(tree, attach(context, tree, "/dev/console"));
}

static int take_terminal(int slave, const struct winsize *size) {
  if ((size->ws_row != 0 || size->ws_col != 0) && ioctl(slave, TIOCSWINSZ, size) < 0) return -1;
  for (int fd = 0; fd < 3; fd++) {
    if (put_in_place(slave, fd, 0) < 0) return -1;
  }
  return ioctl(0, TIOCSCTTY, 0);
}

static int clear_onlcr(int terminal) {
  struct termios mode;
  if (tcgetattr(terminal, &mode) < 0) return -1;
  mode.c_oflag &= ~(tcflag_t)ONLCR;
  return tcsetattr(terminal, TCSANOW, &mode);
}

int open_console(struct context *context, struct arguments *arguments) {
  struct winsize size = {.ws_row = (unsigned short)take_u32(arguments)};
  size.ws_col = (unsigned short)take_u32(arguments);
  bool keep_newlines = take_u32(arguments) != 0;
  bool bind = take_u32(arguments) != 0;
  if (all_taken(arguments) < 0) return -1;
  int master = open_multiplexer(context);
  if (master < 0) return -1;
  int unlocked = 0;
  if (ioctl(master, TIOCSPTLCK, &unlocked) < 0) return close_and_return(master, -1);
  /* By descriptor: a path could lead to another terminal (ioctl_tty(2), TIOCGPTPEER). */
  int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) return close_and_return(master, -1);
  int result = bind ? bind_console(context, slave) : 0;
  if (result == 0 && keep_newlines) result = clear_onlcr(slave);
  if (result == 0) result = take_terminal(slave, &size);
  if (result == 0) result = send_descriptor(TERMINAL_FD, master);
  close_and_return(slave, 0);
  return close_and_return(master, result);
}
