#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "caisson-init.h"

static void say_list(const char *format, va_list arguments, const char *reason)
{
  char line[512];
  int length = snprintf(line, sizeof line, "caisson-init: ");
  length += vsnprintf(line + length, sizeof line - (size_t)length, format, arguments);
  if (length < (int)sizeof line && reason != NULL)
    length += snprintf(line + length, sizeof line - (size_t)length, ": %s", reason);
  if (length > (int)sizeof line - 2)
    length = (int)sizeof line - 2;
  line[length++] = '\n';
  /* A line is one write: the agent writes to the same console. There is nobody to tell if it fails. */
  if (write(STDERR_FILENO, line, (size_t)length) < 0)
    return;
}

void say(const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  say_list(format, arguments, NULL);
  va_end(arguments);
}

void die(const char *format, ...)
{
  const char *reason = strerror(errno);
  va_list arguments;
  va_start(arguments, format);
  say_list(format, arguments, reason);
  va_end(arguments);
  reboot(RB_AUTOBOOT);
  /* The end of PID 1 is a kernel panic, which ends the machine as well. */
  _exit(1);
}
