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
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../own-session.h"
#include "shim-start.h"

/* What the daemon has its connection as (STARTER_FD in runtime/process/spawn-self.ts), and the first number that nobody has a use for. */
enum { CONNECTION = 3, FREE };
/* NODE, SCRIPT and NAME. */
enum { NODE = 1, SCRIPT, NAME, WORDS };
/* How long the daemon may take to answer, on a busy machine. */
enum { LIMIT_MS = 60000 };
enum { LEAST_DESCRIPTORS = 32 };
/* The first byte of an answer (runtime/shim/starter.ts): what the rest of it is, or that the words are for somebody else. */
enum { ADDRESS = 'a', ERROR = 'e', NOT_MINE = 'n' };

/* Runs Node.js with its flags, the script, our own words, and what remains of the arguments. */
static void run(char **arguments, const char *flag, const char *role, const char *mark, char **rest) {
  size_t count = 0;
  while (rest[count] != NULL) count++;
  const char *first[] = {arguments[NODE], "--disable-sigusr1", flag, arguments[SCRIPT], role, mark};
  const char **words = calloc(sizeof first / sizeof *first + count + 1, sizeof *words);
  if (words == NULL) return;
  const char **next = words;
  for (size_t at = 0; at < sizeof first / sizeof *first; at++)
    if (first[at] != NULL) *next++ = first[at];
  memcpy(next, rest, count * sizeof *rest);
  execv(arguments[NODE], (char *const *)words);
}

/* The daemon reads our standard input, and has nothing else of what whoever has started us waits for. */
static void be_daemon(char **arguments, int connection) {
  begin_own_session();
  int nothing = open("/dev/null", O_RDWR);
  if (nothing < 0 || dup2(nothing, STDOUT_FILENO) < 0 || dup2(nothing, STDERR_FILENO) < 0 || dup2(connection, CONNECTION) < 0 ||
      close_range(FREE, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
    return;
  run(arguments, "--use-openssl-ca", "shim-daemon", "--", arguments + WORDS);
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

/* With fewer Node.js crashes before it runs a line of ours. */
static bool has_descriptors(const char *name) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_max >= LEAST_DESCRIPTORS) return true;
  fprintf(stderr, "%s: the limit on open files (ulimit -Hn) is %llu, and at least %d are needed (CAISSON_E_HOST)\n", name,
          (unsigned long long)files.rlim_max, LEAST_DESCRIPTORS);
  return false;
}

int main(int argc, char **arguments) {
  static char answer[64 * 1024];
  if (argc < WORDS) {
    fprintf(stderr, "usage: shim-start NODE SCRIPT NAME [ARGUMENT...]\n");
    return 125;
  }
  if (find_pod(arguments + WORDS, answer, sizeof answer)) return tell(STDOUT_FILENO, answer, strlen(answer)) ? 0 : 1;
  if (!has_descriptors(arguments[NAME])) return 1;
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
    run(arguments, NULL, NULL, NULL, arguments + NAME);
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
