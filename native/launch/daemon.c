/* What a container's daemon is told and says (runtime/daemon/command.ts). */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../start-node.h"
#include "launch.h"

/* A daemon takes no longer line. */
enum { MAX_LINE = 4 * 1024 * 1024 };

const char ANSWER[] = "{\"id\":1,";
/* Of these, which name an exec's process, and say that nothing was done and how a process has ended, only the beginning is known. */
const char NAMED[] = "{\"id\":1,\"result\":{\"execId\":\"";
const char REFUSED[] = "{\"id\":1,\"error\":";
static const char WAITED[] = "{\"id\":2,";
static const char ENDED[] = "{\"id\":2,\"result\":{\"exitCode\":";
static const char REASON[] = "\"reason\":";

bool path_of(const struct command *command, char path[PATH_MAX]) {
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

const char *await_exec(struct connection *daemon, const char *named) {
  const char *id = named + strlen(NAMED);
  char request[100], target[50];
  snprintf(target, sizeof target, ",\"execId\":\"%.*s\"", (int)strcspn(id, "\""), id);
  int length = snprintf(request, sizeof request, "{\"id\":2,\"verb\":\"wait\",\"params\":{%s}}\n", target + 1);
  return send_text(daemon, request, (size_t)length) ? await_line(daemon, WAITED, target) : NULL;
}

int exit_code(const char *line) {
  bool is_all = line != NULL && strncmp(line, ENDED, strlen(ENDED)) == 0 && strstr(line, REASON) == NULL;
  return is_all ? (int)strtol(line + strlen(ENDED), NULL, 10) : -1;
}
