/* What a copy gives up before anything of QEMU runs in it. */
#include "fork-server.h"

#include <linux/capability.h>
#include <linux/keyctl.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The C library would have its other threads do it as well, which are not there yet (nptl(7)). */
static bool change_user(uid_t uid) {
  if (syscall(SYS_setresgid, uid, uid, uid) < 0 || syscall(SYS_setresuid, uid, uid, uid) < 0)
    return failed("change the user");
  return true;
}

static bool drop_capabilities(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct none[2] = {{0}};
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || syscall(SYS_capset, &header, none) < 0)
    return failed("drop the capabilities");
  return true;
}

static bool drop_bounding_set(void) {
  for (int each = 0; prctl(PR_CAPBSET_READ, each) >= 0; each++)
    if (prctl(PR_CAPBSET_DROP, each) < 0) return failed("empty the bounding set");
  return true;
}

bool drop_rights(uid_t uid) {
  if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0) return failed("leave the server's keyring");
  /* Without it the filter, too, could be loaded by nobody but root. */
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return failed("give up new privileges");
  return replace_processes() && drop_bounding_set() && change_user(uid) && drop_capabilities();
}
