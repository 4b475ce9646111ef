#include "trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The library has looked for its socket before main(): so this is begun once more, with one. */
static void begin_again(char **arguments) {
  int pair[2];
  char number[16];
  expect(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  snprintf(number, sizeof number, "%d", pair[1]);
  setenv("CAISSON_VHOST_PROXY", number, 1);
  snprintf(number, sizeof number, "%d", pair[0]);
  setenv("TRIAL_CONTROL", number, 1);
  execv("/proc/self/exe", arguments);
  unexpected(__FILE__, __LINE__, "execv");
}

int main(int count, char **arguments) {
  if (getenv("TRIAL_CONTROL") == NULL) begin_again(arguments);
  control = atoi(getenv("TRIAL_CONTROL"));
  alarm(60);
  const struct trial *const groups[] = {carrying, refusals, lifecycle, caching, joins, flushes, temporary, capabilities};
  for (size_t group = 0; group < sizeof groups / sizeof *groups; group++)
    for (const struct trial *trial = groups[group]; trial->name != NULL; trial++) {
      if (count < 2) puts(trial->name);
      if (count < 2 || strcmp(trial->name, arguments[1]) != 0) continue;
      make_ram();
      trial->run();
      return 0;
    }
  return count < 2 ? 0 : 2;
}
