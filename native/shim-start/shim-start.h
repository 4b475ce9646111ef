#ifndef SHIM_START_H
#define SHIM_START_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Looks for the daemon of the pod that the container in this working directory is in, and notes in the bundle where it serves.
 * Gives what to print; false when there is none that serves, and for all that is not containerd's usual case.
 */
bool find_pod(char **words, char *answer, size_t room);

/* Writes all of it. */
bool tell(int fd, const char *text, size_t length);

#endif
