/* Lines from and to a daemon (runtime/control/protocol.ts), with the signals of a process that runs in our foreground. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launch.h"

/* Of what a daemon answers here. */
enum { MAX_ANSWER = 64 * 1024 };
/* What a process has written is seen before it is told that the process runs, and whoever has seen it may send a signal. */
enum { GRACE_MS = 200 };

/* As runtime/process/forwarded-signals.ts. */
static const int FORWARDED[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM};

bool open_connection(struct connection *connection, int socket) {
  *connection = (struct connection){.socket = socket, .signals = -1, .number = 2, .text = malloc(MAX_ANSWER)};
  return connection->text != NULL;
}

void close_connection(struct connection *connection) {
  free(connection->text);
  if (connection->signals < 0) return;
  close(connection->signals);
  sigprocmask(SIG_SETMASK, &connection->before, NULL);
}

bool watch_signals(struct connection *connection) {
  sigset_t passed;
  sigemptyset(&passed);
  for (size_t at = 0; at < sizeof FORWARDED / sizeof *FORWARDED; at++) sigaddset(&passed, FORWARDED[at]);
  connection->signals = signalfd(-1, &passed, SFD_CLOEXEC);
  return connection->signals >= 0 && sigprocmask(SIG_BLOCK, &passed, &connection->before) == 0;
}

bool send_text(const struct connection *to, const char *text, size_t length) {
  for (ssize_t sent; length > 0; text += sent, length -= (size_t)sent) {
    sent = send(to->socket, text, length, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) sent = 0;
    if (sent < 0) return false;
  }
  return true;
}

/* Reads once. False where the daemon has gone, or says more than an answer has. */
static bool receive(struct connection *from) {
  if (from->length == MAX_ANSWER) return false;
  ssize_t count = recv(from->socket, from->text + from->length, MAX_ANSWER - from->length, 0);
  if (count < 0 && errno == EINTR) return true;
  if (count <= 0) return false;
  from->length += (size_t)count;
  return true;
}

/* The next line without its end, of what has been read; NULL where there is none. */
static const char *next_line(struct connection *from) {
  from->length -= from->line;
  memmove(from->text, from->text + from->line, from->length);
  char *end = memchr(from->text, '\n', from->length);
  from->line = end == NULL ? 0 : (size_t)(end - from->text) + 1;
  if (end == NULL) return NULL;
  *end = '\0';
  return from->text;
}

static void read_signal(struct connection *to) {
  struct signalfd_siginfo got;
  if (read(to->signals, &got, sizeof got) == sizeof got) to->interrupted = (int)got.ssi_signo;
}

/* Passes on what has come. False where the daemon has gone. */
static bool pass_signal(struct connection *to, const char *target) {
  if (to->interrupted == 0 || target == NULL) return true;
  char request[160];
  int length = snprintf(request, sizeof request, "{\"id\":%d,\"verb\":\"kill\",\"params\":{\"signal\":%d,\"all\":false%s}}\n",
                        ++to->number, to->interrupted, target);
  to->interrupted = 0;
  return send_text(to, request, (size_t)length);
}

const char *await_line(struct connection *from, const char *beginning, const char *target) {
  for (;;) {
    for (const char *line; (line = next_line(from)) != NULL;)
      if (strncmp(line, beginning, strlen(beginning)) == 0) return line;
    if (!pass_signal(from, target)) return NULL;
    struct pollfd events[] = {{.fd = from->socket, .events = POLLIN}, {.fd = from->signals, .events = POLLIN}};
    int ready = poll(events, 2, from->interrupted == 0 ? -1 : GRACE_MS);
    if (ready == 0) return NULL;
    if (ready < 0) continue;
    if (events[1].revents != 0) read_signal(from);
    if (events[0].revents != 0 && !receive(from)) return NULL;
  }
}
