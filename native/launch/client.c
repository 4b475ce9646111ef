/*
 * A client of a container's daemon (runtime/daemon/command.ts), which decides; what is done here is what only the process that was called
 * can do: be the one whose streams an exec's process has, pass its signals on, and end with a code.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "launch.h"

/* Of runtime/control/protocol.ts, of which a daemon takes no longer line; and what an answer of ours has at most. */
enum { MAX_LINE = 4 * 1024 * 1024, MAX_ANSWER = 64 * 1024 };

/* As runtime/process/forwarded-signals.ts. */
static const int FORWARDED[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM};

static const char DONE[] = "{\"id\":1,\"result\":{}}";
static const char STARTED[] = "{\"id\":1,\"result\":{\"started\":true}}";
/* Of these answers, which say that nothing was done and how a process has ended, only the beginning is known. */
static const char REFUSED[] = "{\"id\":1,\"error\":";
static const char WAITED[] = "{\"id\":2,";
static const char ENDED[] = "{\"id\":2,\"result\":{\"exitCode\":";
static const char REASON[] = "\"reason\":";

struct connection {
  int socket;
  /* What has been read, and how much of it is the line that was asked for, with its end. */
  char *text;
  size_t length, line;
};

static bool begins(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

static int connect_to(const struct command *command) {
  char path[PATH_MAX];
  int length = snprintf(path, sizeof path, "%s/%s", command->root, command->id);
  if (length < 0 || (size_t)length >= sizeof path) return -1;
  /* A socket's address has room for less of a path than a path may have. */
  int directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return -1;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/control.sock", directory);
  int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection >= 0 && connect(connection, (struct sockaddr *)&address, sizeof address) < 0) {
    close(connection);
    connection = -1;
  }
  close(directory);
  return connection;
}

static bool send_all(int connection, const char *text, size_t length) {
  for (ssize_t sent; length > 0; text += sent, length -= (size_t)sent) {
    sent = send(connection, text, length, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) sent = 0;
    if (sent < 0) return false;
  }
  return true;
}

/* Bytes that are not UTF-8 are replaced by the daemon, as Node.js does with its arguments. */
static void write_string(FILE *to, const char *text) {
  fputc('"', to);
  for (; *text != '\0'; text++) {
    if ((unsigned char)*text < ' ') {
      fprintf(to, "\\u%04x", (unsigned)*text);
      continue;
    }
    if (*text == '"' || *text == '\\') fputc('\\', to);
    fputc(*text, to);
  }
  fputc('"', to);
}

static bool send_command(int connection, char **words) {
  char *text = NULL;
  size_t length = 0;
  FILE *to = open_memstream(&text, &length);
  if (to == NULL) return false;
  fputs("{\"id\":1,\"verb\":\"command\",\"params\":{\"args\":[", to);
  for (char **word = words; *word != NULL; word++) {
    if (word != words) fputc(',', to);
    write_string(to, *word);
  }
  fprintf(to, "],\"pid\":%d,\"execId\":\"launch-%d\"}}\n", (int)getpid(), (int)getpid());
  bool sent = fclose(to) == 0 && length <= MAX_LINE && send_all(connection, text, length);
  free(text);
  return sent;
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

/* The command line's own process tells what the daemon has said, in this one's place; nothing, where it has gone. */
static void tell(char **arguments, const char *answer) {
  run(arguments, NULL, "with-answer", answer, arguments + NAME);
  _exit(127);
}

/* Passes signals on until the exec's process has ended, and ends as that has. */
static void follow(char **arguments, struct connection *daemon) {
  sigset_t passed, before;
  sigemptyset(&passed);
  for (size_t at = 0; at < sizeof FORWARDED / sizeof *FORWARDED; at++) sigaddset(&passed, FORWARDED[at]);
  sigprocmask(SIG_BLOCK, &passed, &before);
  int signals = signalfd(-1, &passed, SFD_CLOEXEC);
  char request[160];
  int length = snprintf(request, sizeof request, "{\"id\":2,\"verb\":\"wait\",\"params\":{\"execId\":\"launch-%d\"}}\n", (int)getpid());
  bool lives = signals >= 0 && send_all(daemon->socket, request, (size_t)length);
  const char *line = NULL;
  for (int number = 3; lives && line == NULL;) {
    struct pollfd events[] = {{.fd = daemon->socket, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    if (poll(events, 2, -1) < 0) continue;
    struct signalfd_siginfo got;
    if (events[1].revents != 0 && read(signals, &got, sizeof got) == sizeof got) {
      length = snprintf(request, sizeof request,
                        "{\"id\":%d,\"verb\":\"kill\",\"params\":{\"signal\":%u,\"all\":false,\"execId\":\"launch-%d\"}}\n", number++,
                        got.ssi_signo, (int)getpid());
      lives = send_all(daemon->socket, request, (size_t)length);
    }
    if (events[0].revents == 0) continue;
    lives = receive(daemon);
    /* What is said of a signal does not matter. */
    do line = next_line(daemon);
    while (line != NULL && !begins(line, WAITED));
  }
  if (line != NULL && begins(line, ENDED) && strstr(line, REASON) == NULL) _exit((int)strtol(line + strlen(ENDED), NULL, 10));
  sigprocmask(SIG_SETMASK, &before, NULL);
  tell(arguments, line == NULL ? "" : line);
}

/* As Node.js: what is not open is the null device. */
static void open_streams(void) {
  int opened;
  do opened = open("/dev/null", O_RDWR);
  while (opened >= 0 && opened <= STDERR_FILENO);
  if (opened >= 0) close(opened);
}

void hand_over(char **arguments, const struct command *command) {
  open_streams();
  struct connection daemon = {.socket = connect_to(command)};
  if (daemon.socket < 0) return;
  daemon.text = malloc(MAX_ANSWER);
  if (daemon.text != NULL && send_command(daemon.socket, arguments + WORDS)) {
    const char *answer = NULL;
    while (answer == NULL && receive(&daemon)) answer = next_line(&daemon);
    if (answer == NULL) tell(arguments, "");
    if (strcmp(answer, DONE) == 0) _exit(0);
    if (strcmp(answer, STARTED) == 0) follow(arguments, &daemon);
    if (!begins(answer, REFUSED)) tell(arguments, answer);
  }
  free(daemon.text);
  close(daemon.socket);
}
