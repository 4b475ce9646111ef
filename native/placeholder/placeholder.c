/* Stands for a container on the host by its pid (runtime/sandbox/placeholder.ts): does nothing until its standard input ends. */
#include <errno.h>
#include <unistd.h>

int main(void) {
  char byte;
  ssize_t count;
  do count = read(STDIN_FILENO, &byte, sizeof byte);
  while (count > 0 || (count < 0 && errno == EINTR));
  return 0;
}
