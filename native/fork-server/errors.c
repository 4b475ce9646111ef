#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fork-server.h"

static char problem[PROBLEM_BYTES];

bool failed(const char *doing) { return refused("cannot %s: %s", doing, strerror(errno)); }

bool refused(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(problem, sizeof problem, format, arguments);
  va_end(arguments);
  return false;
}

const char *last_problem(void) { return problem; }
