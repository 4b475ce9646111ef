#include <string.h>

#include "launch.h"

static const char DEFAULT_ROOT[] = "/run/caisson";

/* The flags before the verb, and those of commands that a daemon can carry out: with a value, and without one. */
static const char *const VALUED[] = {"--root", "--log", "--log-format", "--config", "--trace", "--rootless", NULL};
static const char *const PLAIN[] = {"--debug", "--systemd-cgroup", NULL};
static const char *const EXEC_VALUED[] = {"--env", "-e", "--cwd", "--user", "-u", "--process", "-p", "--pid-file", NULL};
static const char *const LAUNCH_VALUED[] = {"--bundle", "-b", "--pid-file", NULL};
static const char *const DETACH[] = {"--detach", "-d", NULL};
static const char *const NONE[] = {NULL};
static const char *const ASKING[] = {"kill", "pause", "resume", "start", NULL};

static const char *find(const char *const *names, const char *word, size_t length) {
  for (; *names != NULL; names++)
    if (strlen(*names) == length && memcmp(*names, word, length) == 0) return *names;
  return NULL;
}

/* The word after the flags; NULL where one is not among these, or its value is missing. */
static char **skip_flags(char **words, const char *const *valued, const char *const *plain, struct command *command) {
  for (; *words != NULL && **words == '-'; words++) {
    size_t length = strncmp(*words, "--", 2) == 0 ? strcspn(*words, "=") : strlen(*words);
    const char *value = (*words)[length] == '=' ? *words + length + 1 : NULL;
    if (value == NULL && find(plain, *words, length) != NULL) {
      if (plain == DETACH) command->detached = true;
      continue;
    }
    const char *name = find(valued, *words, length);
    if (name == NULL) return NULL;
    if (value == NULL) value = *++words;
    if (value == NULL) return NULL;
    if (strcmp(name, "--root") == 0) command->root = value;
    if (strcmp(name, "--process") == 0 || strcmp(name, "-p") == 0) command->process = value;
    if (strcmp(name, "--pid-file") == 0) command->pid_file = value;
  }
  return words;
}

/* The only word besides the flags, which may come after it. */
static const char *only_word(char **words, const char *const *plain, struct command *command) {
  const char *found = NULL;
  while ((words = skip_flags(words, LAUNCH_VALUED, plain, command)) != NULL && *words != NULL) {
    if (found != NULL) return NULL;
    found = *words++;
  }
  return words == NULL ? NULL : found;
}

/* Nothing that leads out of the root. */
static bool is_id(const char *word) {
  return *word != '\0' && strchr(word, '/') == NULL && strcmp(word, ".") != 0 && strcmp(word, "..") != 0;
}

struct command read_command(char **words) {
  struct command command = {.root = DEFAULT_ROOT};
  char **at = skip_flags(words, VALUED, PLAIN, &command);
  if (at == NULL || *at == NULL) return command;
  const char *verb = *at++, *id = NULL;
  if (strcmp(verb, "exec") == 0) {
    command.verb = EXEC;
    at = skip_flags(at, EXEC_VALUED, DETACH, &command);
    /* The pid of a foreground exec is the command line's. */
    bool is_plain = at != NULL && (command.detached || command.pid_file == NULL);
    id = is_plain ? *at : NULL;
  } else if (find(ASKING, verb, strlen(verb)) != NULL) {
    command.verb = ASK;
    while (*at != NULL && **at == '-') at++;
    id = *at;
  } else if (strcmp(verb, "create") == 0 || strcmp(verb, "run") == 0) {
    command.verb = *verb == 'r' ? RUN : CREATE;
    id = only_word(at, command.verb == RUN ? DETACH : NONE, &command);
  }
  /* Node.js would take a root apart by its text, the kernel follows symbolic links. */
  bool is_plain_root = *command.root != '\0' && strstr(command.root, "..") == NULL;
  if (id != NULL && is_id(id) && is_plain_root) command.id = id;
  return command;
}
