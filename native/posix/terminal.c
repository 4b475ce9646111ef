#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

napi_value posix_openpty(napi_env env, napi_callback_info info) {
  (void)info;
  int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0) return throw_errno(env, errno, "open", "/dev/ptmx");
  int unlock = 0;
  if (ioctl(master, TIOCSPTLCK, &unlock) < 0) {
    int error = errno;
    close(master);
    return throw_errno(env, error, "ioctl", "TIOCSPTLCK");
  }
  /* TIOCGPTPEER opens the slave of this very master, whatever is mounted on /dev/pts (ioctl_tty(2)). */
  int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) {
    int error = errno;
    close(master);
    return throw_errno(env, error, "ioctl", "TIOCGPTPEER");
  }
  napi_value result;
  if (napi_create_object(env, &result) == napi_ok && set_int(env, result, "master", master) &&
      set_int(env, result, "slave", slave))
    return result;
  close(master);
  close(slave);
  return NULL;
}

napi_value posix_set_winsize(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  int fd, rows, columns;
  if (!read_arguments(env, info, 3, arguments) || !read_int(env, arguments[0], &fd) ||
      !read_int(env, arguments[1], &rows) || !read_int(env, arguments[2], &columns))
    return NULL;
  if (rows < 0 || rows > UINT16_MAX || columns < 0 || columns > UINT16_MAX)
    return throw_errno(env, ERANGE, "ioctl", "TIOCSWINSZ");
  struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
  if (ioctl(fd, TIOCSWINSZ, &size) < 0) return throw_errno(env, errno, "ioctl", "TIOCSWINSZ");
  return make_undefined(env);
}

napi_value posix_get_winsize(napi_env env, napi_callback_info info) {
  napi_value argument, result;
  int fd;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &fd)) return NULL;
  struct winsize size = {0};
  if (ioctl(fd, TIOCGWINSZ, &size) < 0) return throw_errno(env, errno, "ioctl", "TIOCGWINSZ");
  if (napi_create_object(env, &result) == napi_ok && set_int(env, result, "rows", size.ws_row) &&
      set_int(env, result, "columns", size.ws_col))
    return result;
  return NULL;
}

napi_value posix_make_raw(napi_env env, napi_callback_info info) {
  napi_value argument;
  int fd;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &fd)) return NULL;
  struct termios mode;
  if (tcgetattr(fd, &mode) < 0) return throw_errno(env, errno, "tcgetattr", NULL);
  cfmakeraw(&mode);
  if (tcsetattr(fd, TCSANOW, &mode) < 0) return throw_errno(env, errno, "tcsetattr", NULL);
  return make_undefined(env);
}

napi_value posix_get_onlcr(napi_env env, napi_callback_info info) {
  napi_value argument, result;
  int fd;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &fd)) return NULL;
  struct termios mode;
  if (tcgetattr(fd, &mode) < 0) return throw_errno(env, errno, "tcgetattr", NULL);
  return napi_get_boolean(env, (mode.c_oflag & ONLCR) != 0, &result) == napi_ok ? result : NULL;
}

napi_value posix_set_onlcr(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  int fd;
  bool on;
  if (!read_arguments(env, info, 2, arguments) || !read_int(env, arguments[0], &fd) ||
      !read_bool(env, arguments[1], &on))
    return NULL;
  struct termios mode;
  if (tcgetattr(fd, &mode) < 0) return throw_errno(env, errno, "tcgetattr", NULL);
  mode.c_oflag = on ? mode.c_oflag | ONLCR : mode.c_oflag & ~(tcflag_t)ONLCR;
  if (tcsetattr(fd, TCSANOW, &mode) < 0) return throw_errno(env, errno, "tcsetattr", NULL);
  return make_undefined(env);
}

napi_value posix_set_controlling_terminal(napi_env env, napi_callback_info info) {
  napi_value argument;
  int fd;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &fd)) return NULL;
  if (ioctl(fd, TIOCSCTTY, 0) < 0) return throw_errno(env, errno, "ioctl", "TIOCSCTTY");
  return make_undefined(env);
}
