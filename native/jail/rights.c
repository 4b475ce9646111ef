#include "jail.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* QEMU has a thread for each processor, and 64 for its files at the most. */
enum { THREADS = 1024 };

static bool is_kept(const struct plan *plan, int capability) { return (plan->kept >> capability & 1) != 0; }

static void limit(int resource, rlim_t value, const char *name) {
  struct rlimit own = {.rlim_cur = value, .rlim_max = value};
  if (setrlimit(resource, &own) < 0) fail("set the limit of", name);
}

/* The kernel says of which number there is no capability any more. */
static void drop_bounding_set(const struct plan *plan) {
  for (int each = 0; prctl(PR_CAPBSET_READ, each) >= 0; each++)
    if (!is_kept(plan, each) && prctl(PR_CAPBSET_DROP, each) < 0) fail("drop capabilities", NULL);
}

/* The capabilities of another user than root are ambient: else executing the program would take them away (capabilities(7)). */
static void set_capabilities(const struct plan *plan) {
  uint32_t low = (uint32_t)plan->kept, high = (uint32_t)(plan->kept >> 32);
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{low, low, low}, {high, high, high}};
  if (syscall(SYS_capset, &header, data) < 0) fail("drop capabilities", NULL);
  for (int each = 0; each < 64; each++)
    if (is_kept(plan, each) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, each, 0, 0) < 0)
      fail("keep a capability", NULL);
}

void drop_rights(const struct plan *plan) {
  /* With guest memory in it. */
  limit(RLIMIT_CORE, 0, "core files");
  limit(RLIMIT_MSGQUEUE, 0, "message queues");
  limit(RLIMIT_NPROC, THREADS, "threads");
  if (plan->locked_memory > 0) limit(RLIMIT_MEMLOCK, plan->locked_memory, "locked memory");
  if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0) fail("leave the caller's keyring", NULL);
  drop_bounding_set(plan);
  if (prctl(PR_SET_KEEPCAPS, 1) < 0) fail("keep capabilities", NULL);
  if (setgroups(0, NULL) < 0 || setresgid(plan->uid, plan->uid, plan->uid) < 0 ||
      setresuid(plan->uid, plan->uid, plan->uid) < 0)
    fail("change the user", NULL);
  set_capabilities(plan);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) fail("give up new privileges", NULL);
  /* A change of the user undoes it (prctl(2), PR_SET_PDEATHSIG). */
  if (plan->with_parent && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) fail("end with the parent", NULL);
}
