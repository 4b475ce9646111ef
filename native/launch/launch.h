#ifndef LAUNCH_H
#define LAUNCH_H

/* What this program is called with: NODE SCRIPT NAME [WORD...]. */
enum { NODE = 1, SCRIPT, NAME, WORDS };

/* Becomes Node.js with its flags, the script, two words of ours, and what remains of the arguments; those that are NULL are left out. */
void run(char **arguments, const char *flag, const char *word, const char *facts, char **rest);

/* What is to be known of a command line here; runtime/control/plain-command.ts knows the rest. */
struct command {
  const char *verb;
  const char *root;
  /* Of a verb that a container's daemon can carry out; else NULL. */
  const char *id;
};

/* verb is NULL where that is not to be told. */
struct command read_command(char **words);

/* Has the container's daemon carry a command out and ends as that does. Returns where nothing has been done. */
void hand_over(char **arguments, const struct command *command);

#endif
