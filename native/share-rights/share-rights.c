/*
 * Preloaded into virtiofsd (ld.so(8), --preload). Whatever it makes in the name of a user other than root it makes as
 * that user, so that it is his (setresuid(2)), and the kernel takes the effective capabilities away for as long as that
 * lasts. The guest's kernel has looked at the permissions before (default_permissions), and knows what the host's cannot:
 * the user's other groups, and which capabilities he has. So CAP_DAC_OVERRIDE stays; all others go, CAP_FSETID above
 * all, without which nobody can make a file of a group that he is not in with the right to act as the group.
 */
#include "share-rights.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

static void keep_dac_override(system_call next) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
  if (next(SYS_capget, &header, data) < 0) return;
  data[CAP_TO_INDEX(CAP_DAC_OVERRIDE)].effective |= CAP_TO_MASK(CAP_DAC_OVERRIDE) &
                                                    data[CAP_TO_INDEX(CAP_DAC_OVERRIDE)].permitted;
  /* Without it, what only the guest's kernel allows is refused. */
  next(SYS_capset, &header, data);
}

/* virtiofsd, in C as in Rust, changes the user of one thread by it, as setresuid(3) would that of all. */
INTERPOSED long syscall(long number, ...) {
  static system_call next;
  if (next == NULL) next = (system_call)dlsym(RTLD_NEXT, "syscall");
  va_list given;
  va_start(given, number);
  long a = va_arg(given, long), b = va_arg(given, long), c = va_arg(given, long);
  long d = va_arg(given, long), e = va_arg(given, long), f = va_arg(given, long);
  va_end(given);
  if (number == SYS_openat2) return open_maybe_temporary_2((int)a, (const char *)b, (const void *)c, next);
  long result = next(number, a, b, c, d, e, f);
  uid_t effective = (uid_t)b;
  if (number != SYS_setresuid || result != 0 || effective == 0 || effective == (uid_t)-1) return result;
  int error = errno;
  keep_dac_override(next);
  errno = error;
  return result;
}
