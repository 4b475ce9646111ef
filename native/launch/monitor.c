/*
 * What stands on the host for an exec's process whose caller leaves: engines wait for its pid, read the exit status from it and send it
 * signals (runtime/cli/exec-monitor.ts does that for one with a terminal).
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../own-session.h"
#include "../start-node.h"
#include "launch.h"

/* By which it tells its starter, and the first number that it has no use for. */
enum { STARTER = 3, FREE };
/* What it tells: that the process runs, or that the daemon has refused. Anything else is the daemon's answer. */
static const char RUNS = '+', NOT = '-';
static const char ENDED[] =
    "{\"id\":1,\"result\":{\"error\":{\"code\":\"CAISSON_E_HOST\",\"message\":\"the monitor of the process ended before the process ran\"}}}";
static const char UNNAMED[] =
    "{\"id\":1,\"result\":{\"error\":{\"code\":\"CAISSON_E_HOST\",\"message\":\"cannot write the pid file: it cannot be given its name, and the process "
    "was killed\",\"remedy\":\"Give a --pid-file that is no directory.\"}}}";
enum { MAX_TEXT = 1024 * 1024, MAX_TOLD = 64 * 1024, LOST = 1 };

char *read_text(const char *path) {
  struct stat facts;
  /* Not to wait for whoever writes to a pipe. */
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  char *text = NULL;
  if (file >= 0 && fstat(file, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_size < MAX_TEXT) text = calloc(1, MAX_TEXT);
  ssize_t length = text == NULL ? -1 : read(file, text, MAX_TEXT - 1);
  if (file >= 0) close(file);
  if (length >= 0 && length == facts.st_size && strlen(text) == (size_t)length) return text;
  free(text);
  return NULL;
}

/* Beside the file that is to have it: a reader sees the whole of it or no file. */
static bool write_pid(const char *path) {
  FILE *file = fopen(path, "wxe");
  if (file == NULL) return false;
  bool written = fprintf(file, "%d", (int)getpid()) > 0;
  return fclose(file) == 0 && written;
}

/* The monitor's life. The daemon has taken its streams when the process runs. */
static _Noreturn void follow(char **arguments, const struct command *command, const char *process, const char *pid_file) {
  struct connection daemon;
  int connected = write_pid(pid_file) ? connect_to(command) : -1;
  bool asked = connected >= 0 && open_connection(&daemon, connected) && send_command(&daemon, arguments + WORDS, process);
  const char *answer = asked ? await_line(&daemon, ANSWER, NULL) : NULL;
  if (answer == NULL || strncmp(answer, NAMED, strlen(NAMED)) != 0) {
    bool refused = !asked || (answer != NULL && strncmp(answer, REFUSED, strlen(REFUSED)) == 0);
    if (refused) dprintf(STARTER, "%c", NOT);
    else if (answer != NULL) dprintf(STARTER, "%s", answer);
    _exit(LOST);
  }
  /* Nothing of the caller's stays open, nor its folder in use. */
  int nothing = open("/dev/null", O_RDWR);
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++) dup2(nothing, stream);
  bool ready = chdir("/") == 0 && watch_signals(&daemon);
  dprintf(STARTER, "%c", RUNS);
  close(STARTER);
  int code = ready ? exit_code(await_exec(&daemon, answer)) : LOST;
  _exit(code < 0 ? LOST : code);
}

/* What the monitor tells, to its end. */
static void read_all(int from, char *text, size_t most) {
  size_t length = 0;
  for (ssize_t count; length < most - 1 && (count = read(from, text + length, most - 1 - length)) != 0;)
    if (count > 0) length += (size_t)count;
  text[length] = '\0';
}

void leave_monitor(char **arguments, const struct command *command, const char *process) {
  const char *slash = strrchr(command->pid_file, '/'), *name = slash == NULL ? command->pid_file : slash + 1;
  char unfinished[PATH_MAX], told[MAX_TOLD];
  int length = snprintf(unfinished, sizeof unfinished, "%.*s.%s.%d", (int)(name - command->pid_file), command->pid_file, name, (int)getpid());
  int report[2];
  if (length < 0 || (size_t)length >= sizeof unfinished || pipe2(report, O_CLOEXEC) < 0) return;
  pid_t monitor = fork();
  if (monitor == 0) {
    begin_own_session();
    if (dup2(report[1], STARTER) < 0 || close_range(FREE, ~0U, 0) < 0) _exit(LOST);
    follow(arguments, command, process, unfinished);
  }
  close(report[1]);
  read_all(report[0], told, sizeof told);
  close(report[0]);
  if (*told == RUNS && rename(unfinished, command->pid_file) == 0) _exit(0);
  unlink(unfinished);
  if (monitor < 0) return;
  /* Its process ends with it. */
  kill(monitor, SIGKILL);
  waitpid(monitor, NULL, 0);
  struct connection none = {.signals = -1};
  if (*told != NOT) tell(arguments, &none, "", *told == RUNS ? UNNAMED : *told == '\0' ? ENDED : told);
}
