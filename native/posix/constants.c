#include "posix.h"

#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>

/* glibc 2.36 puts it in sched.h only for C++ builds of some versions; the value is the kernel's (linux/sched.h). */
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

#define CONSTANT(name) {#name, name}

static const struct {
  const char *name;
  int64_t value;
} constants[] = {
    CONSTANT(CLONE_FS),       CONSTANT(CLONE_FILES),   CONSTANT(CLONE_NEWNS),    CONSTANT(CLONE_NEWCGROUP),
    CONSTANT(CLONE_NEWUTS),   CONSTANT(CLONE_NEWIPC),  CONSTANT(CLONE_NEWUSER),  CONSTANT(CLONE_NEWPID),
    CONSTANT(CLONE_NEWNET),   CONSTANT(CLONE_NEWTIME), CONSTANT(MS_RDONLY),      CONSTANT(MS_NOSUID),
    CONSTANT(MS_NODEV),       CONSTANT(MS_NOEXEC),     CONSTANT(MS_SYNCHRONOUS), CONSTANT(MS_REMOUNT),
    CONSTANT(MS_MANDLOCK),    CONSTANT(MS_DIRSYNC),    CONSTANT(MS_NOSYMFOLLOW), CONSTANT(MS_NOATIME),
    CONSTANT(MS_NODIRATIME),  CONSTANT(MS_BIND),       CONSTANT(MS_MOVE),        CONSTANT(MS_REC),
    CONSTANT(MS_SILENT),      CONSTANT(MS_POSIXACL),   CONSTANT(MS_UNBINDABLE),  CONSTANT(MS_PRIVATE),
    CONSTANT(MS_SLAVE),       CONSTANT(MS_SHARED),     CONSTANT(MS_RELATIME),    CONSTANT(MS_I_VERSION),
    CONSTANT(MS_STRICTATIME), CONSTANT(MS_LAZYTIME),   CONSTANT(MNT_FORCE),      CONSTANT(MNT_DETACH),
    CONSTANT(MNT_EXPIRE),     CONSTANT(UMOUNT_NOFOLLOW), CONSTANT(LOCK_SH),      CONSTANT(LOCK_EX),
    CONSTANT(LOCK_NB),        CONSTANT(LOCK_UN),
};

bool posix_define_constants(napi_env env, napi_value exports) {
  napi_value object;
  if (napi_create_object(env, &object) != napi_ok) return false;
  for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++)
    if (!set_int(env, object, constants[i].name, constants[i].value)) return false;
  return napi_object_freeze(env, object) == napi_ok && napi_set_named_property(env, exports, "constants", object) == napi_ok;
}
