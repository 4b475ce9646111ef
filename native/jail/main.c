#include "jail.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The status of a failure is that of env(1) and the like, so that it is not taken for the program's own. */
enum { EXIT_JAIL = 125 };

void fail(const char *doing, const char *path) {
  fprintf(stderr, "jail: cannot %s%s%s: %s\n", doing, path == NULL ? "" : " ", path == NULL ? "" : path, strerror(errno));
  exit(EXIT_JAIL);
}

static unsigned long number(const char *text) {
  char *end;
  errno = 0;
  unsigned long value = strtoul(text, &end, 10);
  if (end == text || *end != '\0') errno = EINVAL;
  if (errno != 0) fail("take the number", text);
  return value;
}

static void add(const char **list, int *count, int limit, const char *path) {
  errno = *path == '/' ? ENOSPC : EINVAL;
  if (*path != '/' || *count == limit) fail("show", path);
  list[(*count)++] = path;
}

static void parse(char **arguments, struct plan *plan) {
  char **at = arguments;
  for (; *at != NULL && strcmp(*at, "--") != 0; at++) {
    if (strcmp(*at, "--with-parent") == 0) {
      plan->with_parent = true;
      continue;
    }
    const char *option = *at, *value = at[1];
    errno = EINVAL;
    if (value == NULL) fail("take the option", option);
    at++;
    if (strcmp(option, "--descriptors") == 0)
      plan->descriptors = (unsigned int)number(value);
    else if (strcmp(option, "--locked-memory") == 0)
      plan->locked_memory = number(value);
    else if (strcmp(option, "--uid") == 0)
      plan->uid = (uid_t)number(value);
    else if (strcmp(option, "--keep") == 0)
      plan->kept |= 1ULL << (number(value) & 63);
    else if (strcmp(option, "--show") == 0)
      add(plan->shown, &plan->shown_count, SHOWN, value);
    else if (strcmp(option, "--device") == 0)
      add(plan->devices, &plan->device_count, DEVICES, value);
    else
      fail("take the option", option);
  }
  errno = EINVAL;
  if (*at == NULL || at[1] == NULL) fail("start a program", "without a name");
  plan->program = at + 1;
}

int main(int count, char **arguments) {
  static struct plan plan = {.descriptors = 3};
  if (count < 1) return EXIT_JAIL;
  parse(arguments + 1, &plan);
  enter_root(&plan);
  if (close_range(plan.descriptors, ~0U, 0) < 0) fail("close the descriptors", "of others");
  drop_rights(&plan);
  execv(plan.program[0], plan.program);
  fail("start", plan.program[0]);
}
