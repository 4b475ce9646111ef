#include "vhost-proxy.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* With "error " and a line feed it makes a line of 255 bytes. */
static char text[248];

bool refused(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return false;
}

bool failed(const char *doing) { return refused("vhost-proxy cannot %s: %m", doing); }

void forget_problem(void) { text[0] = '\0'; }

const char *problem(void) { return text; }
