/*
 * Starts a sandbox daemon and becomes the command line that it is for (runtime/control/early-daemon.ts). Node.js would have to have started
 * before it could start another. usage: launch NODE SCRIPT NAME [ARGUMENT...]
 */
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../own-session.h"

/* What the daemon has them as (STARTER_FD in runtime/process/spawn-self.ts), and the first number that nobody has a use for. */
enum { CONNECTION = 3, LIFE, FREE };
/* NODE, SCRIPT and NAME. */
enum { NODE = 1, SCRIPT, NAME, WORDS };

/* Runs Node.js with its flags, the script, three words of ours, and what remains of the arguments. */
static void run(char **arguments, const char *flag, const char *word, const char *facts, char **rest) {
  size_t count = 0;
  while (rest[count] != NULL) count++;
  const char *first[] = {arguments[NODE], "--disable-sigusr1", flag, arguments[SCRIPT], word, facts};
  const char **words = calloc(sizeof first / sizeof *first + count + 1, sizeof *words);
  if (words == NULL) return;
  const char **next = words;
  for (size_t at = 0; at < sizeof first / sizeof *first; at++)
    if (first[at] != NULL) *next++ = first[at];
  memcpy(next, rest, count * sizeof *rest);
  execv(arguments[NODE], (char *const *)words);
}

static void be_daemon(char **arguments, int connection, int life) {
  begin_own_session();
  if (dup2(connection, CONNECTION) < 0 || dup2(life, LIFE) < 0 || close_range(FREE, ~0U, CLOSE_RANGE_CLOEXEC) < 0) return;
  run(arguments, "--use-openssl-ca", "sandbox-daemon", "--", arguments + WORDS);
}

/* Moves it out of the way of those above. */
static bool move(int *fd) {
  int moved = fcntl(*fd, F_DUPFD, FREE);
  close(*fd);
  *fd = moved;
  return moved >= 0;
}

int main(int argc, char **arguments) {
  if (argc < WORDS) {
    fprintf(stderr, "usage: launch NODE SCRIPT NAME [ARGUMENT...]\n");
    return 125;
  }
  int connection[2], life[2];
  pid_t daemon = -1;
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, connection) == 0 && pipe(life) == 0 && move(&connection[0]) && move(&connection[1]) &&
      move(&life[0]) && move(&life[1]))
    daemon = fork();
  if (daemon == 0) {
    be_daemon(arguments, connection[1], life[1]);
    _exit(127);
  }
  char facts[64];
  if (daemon > 0) {
    close(connection[1]);
    close(life[1]);
    snprintf(facts, sizeof facts, "%d,%d,%d", (int)daemon, connection[0], life[0]);
    run(arguments, NULL, "with-daemon", facts, arguments + NAME);
  }
  run(arguments, NULL, NULL, NULL, arguments + NAME);
  perror(arguments[NODE]);
  return 127;
}
