/*
 * containerd's `start`: starts what becomes the pod's daemon (runtime/shim/start.ts), tells what that answers, and ends. Node.js would have to
 * have started before it could start another. usage: shim-start NODE SCRIPT NAME [ARGUMENT...]
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../own-session.h"
#include "../start-node.h"
#include "shim-start.h"

/* What the daemon has its connection as (STARTER_FD in runtime/process/spawn-self.ts), and the first number that nobody has a use for. */
enum { CONNECTION = 3, FREE };
/* How long the daemon may take to answer, on a busy machine. */
enum { LIMIT_MS = 60000 };
/* The first byte of an answer (runtime/shim/starter.ts): what the rest of it is, or that the words are for somebody else. */
enum { ADDRESS = 'a', ERROR = 'e', NOT_MINE = 'n' };

/* The daemon reads our standard input, and has nothing else of what whoever has started us waits for. */
static void be_daemon(char **arguments, int connection) {
  begin_own_session();
  int nothing = open("/dev/null", O_RDWR);
  if (nothing < 0 || dup2(nothing, STDOUT_FILENO) < 0 || dup2(nothing, STDERR_FILENO) < 0 || dup2(connection, CONNECTION) < 0 ||
      close_range(FREE, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
    return;
  start_node(arguments, "--use-openssl-ca", (const char *const[]){"shim-daemon", "--", NULL}, arguments + WORDS);
}

static long milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* How much of an answer has come once its writer has closed the connection, has ended, or has taken too long. */
static size_t read_answer(int connection, char *answer, size_t room) {
  size_t length = 0;
  long left, end = milliseconds() + LIMIT_MS;
  while (length < room && (left = end - milliseconds()) > 0) {
    struct pollfd ready = {.fd = connection, .events = POLLIN};
    int events = poll(&ready, 1, (int)left);
    ssize_t count = events > 0 ? read(connection, answer + length, room - length) : -1;
    if (count == 0) break;
    if (count > 0) length += (size_t)count;
    else if (events != 0 && errno != EINTR) break;
  }
  return length;
}

bool tell(int fd, const char *text, size_t length) {
  while (length > 0) {
    ssize_t count = write(fd, text, length);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    text += count;
    length -= (size_t)count;
  }
  return true;
}

int main(int argc, char **arguments) {
  static char answer[64 * 1024];
  if (argc < WORDS) {
    fprintf(stderr, "usage: shim-start NODE SCRIPT NAME [ARGUMENT...]\n");
    return 125;
  }
  if (find_pod(arguments + WORDS, answer, sizeof answer)) return tell(STDOUT_FILENO, answer, strlen(answer)) ? 0 : 1;
  if (!has_limits(arguments[NAME])) return 1;
  int connection[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, connection) < 0) {
    perror(arguments[NAME]);
    return 1;
  }
  pid_t daemon = fork();
  if (daemon == 0) {
    be_daemon(arguments, connection[1]);
    _exit(127);
  }
  if (daemon < 0) {
    perror(arguments[NAME]);
    return 1;
  }
  close(connection[1]);
  size_t length = read_answer(connection[0], answer, sizeof answer);
  char what = length == 0 ? '\0' : answer[0];
  if (what == NOT_MINE) {
    start_node(arguments, NULL, (const char *const[]){NULL}, arguments + NAME);
    perror(arguments[NODE]);
    return 127;
  }
  if (what == ADDRESS) return tell(STDOUT_FILENO, answer + 1, length - 1) ? 0 : 1;
  if (what == ERROR) tell(STDERR_FILENO, answer + 1, length - 1);
  else {
    /* It is our child still: its pid is no other's. */
    kill(daemon, SIGKILL);
    fprintf(stderr, "%s: the pod's daemon could not be started: it has ended without a word, or took too long\n", arguments[NAME]);
  }
  return 1;
}
