/*
 * The part of a command line that needs no Node.js: it has a running container's daemon carry the command out (client.c), or starts the
 * daemon of a new one and becomes the command line that it is for (runtime/control/early-daemon.ts): Node.js would have to have started
 * before it could start another. usage: launch NODE SCRIPT NAME [WORD...]
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
#include "../start-node.h"
#include "launch.h"

/* What the daemon has them as (STARTER_FD in runtime/process/spawn-self.ts), and the first number that nobody has a use for. */
enum { CONNECTION = 3, LIFE, FREE };
/* A daemon whose container's terminal goes elsewhere has other streams; a trace's file is begun anew first; and help starts nothing. */
static const char *const NOT_EARLY[] = {"--console-socket", "--trace", "--help", "-h"};

static void be_daemon(char **arguments, int connection, int life) {
  begin_own_session();
  if (dup2(connection, CONNECTION) < 0 || dup2(life, LIFE) < 0 || close_range(FREE, ~0U, CLOSE_RANGE_CLOEXEC) < 0) return;
  start_node(arguments, "--use-openssl-ca", (const char *const[]){"sandbox-daemon", "--", NULL}, arguments + WORDS);
}

/* Moves it out of the way of those above. */
static bool move(int *fd) {
  int moved = fcntl(*fd, F_DUPFD, FREE);
  close(*fd);
  *fd = moved;
  return moved >= 0;
}

/* Whether a daemon started now can be of use; runtime/control/early-daemon.ts decides, this only spares others a process. */
static bool wants_daemon(const struct command *command, char **words) {
  if (command->verb != CREATE && command->verb != RUN) return false;
  for (; *words != NULL; words++)
    for (size_t at = 0; at < sizeof NOT_EARLY / sizeof *NOT_EARLY; at++)
      if (strncmp(*words, NOT_EARLY[at], strlen(NOT_EARLY[at])) == 0) return false;
  return true;
}

/* What only the command line's own process can have to do with: the caller's terminal, and descriptors for the container. */
static bool is_plain(const struct command *command) {
  bool may_have_terminal = command->verb == RUN && (isatty(STDIN_FILENO) || isatty(STDOUT_FILENO) || isatty(STDERR_FILENO));
  return command->id != NULL && !may_have_terminal && getenv("LISTEN_FDS") == NULL;
}

/* Ends as a container's daemon has it, or becomes a command line with a daemon; returns where that cannot be started. */
static void run_with_daemon(char **arguments, const struct command *command) {
  int connection[2], life[2];
  pid_t daemon = -1;
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, connection) == 0 && pipe(life) == 0 && move(&connection[0]) && move(&connection[1]) &&
      move(&life[0]) && move(&life[1]))
    daemon = fork();
  if (daemon == 0) {
    be_daemon(arguments, connection[1], life[1]);
    _exit(127);
  }
  if (daemon < 0) return;
  close(connection[1]);
  close(life[1]);
  char facts[64];
  snprintf(facts, sizeof facts, "%d,%d,%d", (int)daemon, connection[0], life[0]);
  if (is_plain(command)) launch(arguments, command, connection[0], daemon, facts);
  start_node(arguments, NULL, (const char *const[]){"with-daemon", facts, NULL}, arguments + NAME);
}

int main(int argc, char **arguments) {
  if (argc < WORDS) {
    fprintf(stderr, "usage: launch NODE SCRIPT NAME [WORD...]\n");
    return 125;
  }
  struct command command = {.verb = OTHER};
  if (strcmp(arguments[NAME], "caisson") == 0) command = read_command(arguments + WORDS);
  if (command.id != NULL && (command.verb == EXEC || command.verb == ASK)) hand_over(arguments, &command);
  if (!has_limits(arguments[NAME])) return 1;
  if (wants_daemon(&command, arguments + WORDS)) run_with_daemon(arguments, &command);
  start_node(arguments, NULL, (const char *const[]){NULL}, arguments + NAME);
  perror(arguments[NODE]);
  return 127;
}
