/*
 * A client of a container's daemon (runtime/daemon/command.ts, launch.ts), which decides; what is done here is what only the process that
 * was called can do: be the one whose streams a process has, pass its signals on, and end with a code.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../start-node.h"
#include "launch.h"

/* A daemon takes no longer line. */
enum { MAX_LINE = 4 * 1024 * 1024 };

const char ANSWER[] = "{\"id\":1,";
static const char DONE[] = "{\"id\":1,\"result\":{}}";
static const char STARTED[] = "{\"id\":1,\"result\":{\"started\":true}}";
/* Of these, which name an exec's process, and say that nothing was done and how a process has ended, only the beginning is known. */
const char NAMED[] = "{\"id\":1,\"result\":{\"execId\":\"";
const char REFUSED[] = "{\"id\":1,\"error\":";
static const char WAITED[] = "{\"id\":2,";
static const char ENDED[] = "{\"id\":2,\"result\":{\"exitCode\":";
static const char REASON[] = "\"reason\":";
/* No line begins so. */
static const char NOTHING[] = "\n";

static bool begins(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

static bool path_of(const struct command *command, char path[PATH_MAX]) {
  int length = snprintf(path, PATH_MAX, "%s/%s", command->root, command->id);
  return length > 0 && length < PATH_MAX;
}

int connect_to(const struct command *command) {
  char path[PATH_MAX];
  if (!path_of(command, path)) return -1;
  /* A socket's address has room for less of a path than a path may have. */
  int directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return -1;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/control.sock", directory);
  int connected = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connected >= 0 && connect(connected, (struct sockaddr *)&address, sizeof address) < 0) {
    close(connected);
    connected = -1;
  }
  close(directory);
  return connected;
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

bool send_command(const struct connection *daemon, char **words, const char *process) {
  char *text = NULL;
  size_t length = 0;
  FILE *to = open_memstream(&text, &length);
  if (to == NULL) return false;
  fputs("{\"id\":1,\"verb\":\"command\",\"params\":{\"args\":[", to);
  for (char **word = words; *word != NULL; word++) {
    if (word != words) fputc(',', to);
    write_string(to, *word);
  }
  fprintf(to, "],\"pid\":%d", (int)getpid());
  if (process != NULL) {
    fputs(",\"process\":", to);
    write_string(to, process);
  }
  fputs("}}\n", to);
  bool sent = fclose(to) == 0 && length <= MAX_LINE && send_text(daemon, text, length);
  free(text);
  return sent;
}

void tell(char **arguments, struct connection *daemon, const char *facts, const char *answer) {
  char interruption[40];
  if (answer == NULL && daemon->interrupted > 0) {
    snprintf(interruption, sizeof interruption, "{\"interrupted\":%d}", daemon->interrupted);
    answer = interruption;
  }
  char *copy = strdup(answer == NULL ? "" : answer);
  close_connection(daemon);
  start_node(arguments, NULL, (const char *const[]){"with-answer", facts, copy, NULL}, arguments + NAME);
  perror(arguments[NODE]);
  _exit(127);
}

/* What is there to follow now; NULL where nothing was done. */
static const char *await_start(char **arguments, struct connection *daemon, const char *started, const char *facts) {
  const char *answer = await_line(daemon, ANSWER, NULL);
  if (answer != NULL && strcmp(answer, DONE) == 0) _exit(0);
  if (answer != NULL && begins(answer, REFUSED)) return NULL;
  if (answer == NULL || !begins(answer, started)) tell(arguments, daemon, facts, answer);
  return answer;
}

const char *await_exec(struct connection *daemon, const char *named) {
  const char *id = named + strlen(NAMED);
  char request[100], target[50];
  snprintf(target, sizeof target, ",\"execId\":\"%.*s\"", (int)strcspn(id, "\""), id);
  int length = snprintf(request, sizeof request, "{\"id\":2,\"verb\":\"wait\",\"params\":{%s}}\n", target + 1);
  return send_text(daemon, request, (size_t)length) ? await_line(daemon, WAITED, target) : NULL;
}

int exit_code(const char *line) {
  bool is_all = line != NULL && begins(line, ENDED) && strstr(line, REASON) == NULL;
  return is_all ? (int)strtol(line + strlen(ENDED), NULL, 10) : -1;
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
  char *process = command->process == NULL ? NULL : read_text(command->process);
  if (command->process != NULL && process == NULL) return;
  if (command->verb == EXEC && command->detached && command->pid_file != NULL) {
    leave_monitor(arguments, command, process);
    return;
  }
  int connected = connect_to(command);
  if (connected < 0) return;
  struct connection daemon;
  bool asked = open_connection(&daemon, connected) && (command->verb != EXEC || watch_signals(&daemon)) &&
               send_command(&daemon, arguments + WORDS, process);
  const char *started = asked ? await_start(arguments, &daemon, NAMED, "") : NULL;
  if (started != NULL) {
    const char *end = await_exec(&daemon, started);
    if (exit_code(end) >= 0) _exit(exit_code(end));
    tell(arguments, &daemon, "", end);
  }
  close_connection(&daemon);
  close(connected);
}

/* Until a container has ended. Its daemon ends with its exit code, and has removed it. */
static void follow_container(char **arguments, struct connection *connection, const struct command *command, pid_t daemon, const char *facts) {
  await_line(connection, NOTHING, "");
  siginfo_t end;
  char path[PATH_MAX];
  bool ended = waitid(P_PID, (id_t)daemon, &end, WEXITED | WNOWAIT) == 0 && end.si_code == CLD_EXITED;
  if (ended && path_of(command, path) && access(path, F_OK) < 0 && errno == ENOENT) {
    waitpid(daemon, NULL, 0);
    _exit(end.si_status);
  }
  tell(arguments, connection, facts, STARTED);
}

void launch(char **arguments, const struct command *command, int socket, pid_t daemon, const char *facts) {
  static const char REQUEST[] = "{\"id\":1,\"verb\":\"launch\",\"params\":{}}\n";
  struct connection connection;
  bool asked = open_connection(&connection, socket) && (command->verb != RUN || watch_signals(&connection)) &&
               send_text(&connection, REQUEST, strlen(REQUEST));
  if (asked && await_start(arguments, &connection, STARTED, facts) != NULL)
    follow_container(arguments, &connection, command, daemon, facts);
  close_connection(&connection);
}
