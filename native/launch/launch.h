#ifndef LAUNCH_H
#define LAUNCH_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What is to be known of a command line here; runtime/control/plain-command.ts knows the rest. */
struct command {
  enum { OTHER, EXEC, ASK, CREATE, RUN } verb;
  const char *root;
  /* NULL where the words are not for a daemon to carry out. */
  const char *id;
  /* Of an exec: the file with the process, the one for the pid of what stands for it, and whether the caller leaves. */
  const char *process, *pid_file;
  bool detached;
};

struct command read_command(char **words);

/* The connection with a daemon. */
struct connection {
  int socket;
  /* Where the signals are read that are passed on (watch_signals()); else -1. */
  int signals;
  sigset_t before;
  /* One that has come and was not passed on. */
  int interrupted;
  /* Of the last request. */
  int number;
  /* What has been read, and how much of it is the line that was asked for, with its end. */
  char *text;
  size_t length, line;
};

bool open_connection(struct connection *connection, int socket);
void close_connection(struct connection *connection);
bool send_text(const struct connection *to, const char *text, size_t length);
bool watch_signals(struct connection *connection);

/*
 * The next line that begins so; others before it do not matter. Signals go to the target, which is the rest of a request: without one the
 * waiting ends soon after the first. NULL then, and where the daemon has gone.
 */
const char *await_line(struct connection *from, const char *beginning, const char *target);

/* What is said to and by a container's daemon; an answer that names an exec's process begins with this. */
extern const char NAMED[], REFUSED[], ANSWER[];
/* Of the directory with the container's state; false where that is too long. */
bool path_of(const struct command *command, char path[PATH_MAX]);
int connect_to(const struct command *command);
bool send_command(const struct connection *daemon, char **words, const char *process);
/* Until the exec's process has ended that the answer names: what was said then, or NULL. */
const char *await_exec(struct connection *daemon, const char *named);
/* The exit code in that; -1 where there is more to tell. */
int exit_code(const char *line);
/* The command line's own process goes on in this one's place, with what the daemon has answered; NULL where it has gone. */
void tell(char **arguments, struct connection *daemon, const char *facts, const char *answer);

/* The text of a file; NULL where it is none that can be read at once. */
char *read_text(const char *path);

/* An exec whose caller leaves: what stands for its process is started and named in the pid file. Returns where nothing has been done. */
void leave_monitor(char **arguments, const struct command *command, const char *process);

/* Has the container's daemon carry a command out and ends as that does. Returns where nothing has been done. */
void hand_over(char **arguments, const struct command *command);

/* Has a daemon that was started for it create a container, and run it; likewise. @param facts are for the command line's own process. */
void launch(char **arguments, const struct command *command, int socket, pid_t daemon, const char *facts);

#endif
