/*
 * A client of a container's daemon (runtime/daemon/command.ts, launch.ts), which decides; what is done here is what only the process that
 * was called can do: be the one whose streams a process has, pass its signals on, and end with a code.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../start-node.h"
#include "launch.h"

static const char DONE[] = "{\"id\":1,\"result\":{}}";
static const char STARTED[] = "{\"id\":1,\"result\":{\"started\":true}}";
/* No line begins so. */
static const char NOTHING[] = "\n";

static bool begins(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

/* What is there to follow now; NULL where nothing was done. */
static const char *await_start(char **arguments, struct connection *daemon, const char *started, const char *facts) {
  const char *answer = await_line(daemon, ANSWER, NULL);
  if (answer != NULL && strcmp(answer, DONE) == 0) _exit(0);
  if (answer != NULL && begins(answer, REFUSED)) return NULL;
  if (answer == NULL || !begins(answer, started)) tell(arguments, daemon, facts, answer);
  return answer;
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
