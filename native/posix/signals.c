#include "posix.h"

#include <errno.h>
#include <signal.h>

napi_value posix_unblock_signal(napi_env env, napi_callback_info info) {
  napi_value argument;
  int signal;
  if (!read_arguments(env, info, 1, &argument) || !read_int(env, argument, &signal)) return NULL;
  sigset_t signals;
  sigemptyset(&signals);
  if (sigaddset(&signals, signal) < 0) return throw_errno(env, errno, "sigaddset", NULL);
  int error = pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
  if (error != 0) return throw_errno(env, error, "pthread_sigmask", NULL);
  return make_undefined(env);
}
