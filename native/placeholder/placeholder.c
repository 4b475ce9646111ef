/* Stands for a container on the host by its pid (runtime/sandbox/placeholder.ts): does nothing until the connection with whoever started it ends. */
#include <errno.h>
#include <unistd.h>

/* STARTER_FD in runtime/process/spawn-self.ts. */
enum { CONNECTION = 3 };

int main(void) {
  char byte;
  ssize_t count;
  do count = read(CONNECTION, &byte, sizeof byte);
  while (count > 0 || (count < 0 && errno == EINTR));
  return 0;
}
