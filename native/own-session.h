/* What a process is given between fork(2), or vfork(2), and execve(2): nothing here needs memory. */
#ifndef OWN_SESSION_H
#define OWN_SESSION_H

#include <signal.h>
#include <unistd.h>

/* A session of its own, no signal blocked, and each handled as programs find it at first. */
static inline void begin_own_session(void) {
  struct sigaction usual = {.sa_handler = SIG_DFL};
  sigset_t none;
  setsid();
  for (int number = 1; number < NSIG; number++) sigaction(number, &usual, NULL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

#endif
