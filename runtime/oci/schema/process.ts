/** config.md: Process, POSIX process, Linux Process, User. */
import type * as Oci from "../../../protocol/oci.ts";
import { array, boolean, integer, object, oneOf, type Schema, string, strings } from "./parts.ts";

const user = object<Oci.User>({
  uid: integer("uint32"),
  gid: integer("uint32"),
  umask: integer("uint32"),
  additionalGids: array(integer("uint32")),
  username: string,
});

const capabilities = object<Oci.Capabilities>({
  bounding: strings,
  effective: strings,
  inheritable: strings,
  permitted: strings,
  ambient: strings,
});

const rlimit = object<Oci.Rlimit>(
  { type: string, soft: integer("uint64"), hard: integer("uint64") },
  "type",
  "soft",
  "hard",
);

const scheduler = object<Oci.Scheduler>(
  {
    policy: oneOf("SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE"),
    nice: integer("int32"),
    priority: integer("int32"),
    flags: array(
      oneOf(
        "SCHED_FLAG_RESET_ON_FORK",
        "SCHED_FLAG_RECLAIM",
        "SCHED_FLAG_DL_OVERRUN",
        "SCHED_FLAG_KEEP_POLICY",
        "SCHED_FLAG_KEEP_PARAMS",
        "SCHED_FLAG_UTIL_CLAMP_MIN",
        "SCHED_FLAG_UTIL_CLAMP_MAX",
      ),
    ),
    runtime: integer("uint64"),
    deadline: integer("uint64"),
    period: integer("uint64"),
  },
  "policy",
);

const ioPriority = object<Oci.IoPriority>(
  { class: oneOf("IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"), priority: integer("int32") },
  "class",
);

export const process: Schema = object<Oci.Process>(
  {
    terminal: boolean,
    // struct winsize of ioctl_tty(2) holds 16 bits.
    consoleSize: object<Oci.ConsoleSize>({ height: integer("uint16"), width: integer("uint16") }, "height", "width"),
    user,
    args: strings,
    commandLine: string,
    env: strings,
    cwd: string,
    capabilities,
    rlimits: array(rlimit),
    noNewPrivileges: boolean,
    apparmorProfile: string,
    oomScoreAdj: integer("int32"),
    scheduler,
    selinuxLabel: string,
    ioPriority,
    execCPUAffinity: object<Oci.CpuAffinity>({ initial: string, final: string }),
  },
  "cwd",
);
