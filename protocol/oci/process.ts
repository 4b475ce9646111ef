/** config.md, Process; what it has of Linux. */
import type { Int64 } from "./integer.ts";

export interface Process {
  terminal?: boolean | undefined;
  consoleSize?: ConsoleSize | undefined;
  /** Absent means root, as runc reads it. */
  user?: User | undefined;
  args?: string[] | undefined;
  /** Windows only. */
  commandLine?: string | undefined;
  env?: string[] | undefined;
  cwd: string;
  capabilities?: Capabilities | undefined;
  rlimits?: Rlimit[] | undefined;
  noNewPrivileges?: boolean | undefined;
  apparmorProfile?: string | undefined;
  oomScoreAdj?: number | undefined;
  scheduler?: Scheduler | undefined;
  selinuxLabel?: string | undefined;
  ioPriority?: IoPriority | undefined;
  execCPUAffinity?: CpuAffinity | undefined;
}

/** In characters. */
export interface ConsoleSize {
  height: number;
  width: number;
}

export interface User {
  uid?: number | undefined;
  gid?: number | undefined;
  umask?: number | undefined;
  additionalGids?: number[] | undefined;
  /** Windows only. */
  username?: string | undefined;
}

/** Names as in capabilities(7), `CAP_CHOWN`. */
export type Capabilities = { [set in CapabilitySet]?: string[] | undefined };

export const CAPABILITY_SETS = ["bounding", "effective", "inheritable", "permitted", "ambient"] as const;

export type CapabilitySet = (typeof CAPABILITY_SETS)[number];

export interface Rlimit {
  /** A name of getrlimit(2), `RLIMIT_NOFILE`. */
  type: string;
  /** 2^64-1 is RLIM_INFINITY, here and in `soft`. */
  hard: Int64;
  soft: Int64;
}

export type SchedulerPolicy =
  | "SCHED_OTHER"
  | "SCHED_FIFO"
  | "SCHED_RR"
  | "SCHED_BATCH"
  | "SCHED_ISO"
  | "SCHED_IDLE"
  | "SCHED_DEADLINE";

export type SchedulerFlag =
  | "SCHED_FLAG_RESET_ON_FORK"
  | "SCHED_FLAG_RECLAIM"
  | "SCHED_FLAG_DL_OVERRUN"
  | "SCHED_FLAG_KEEP_POLICY"
  | "SCHED_FLAG_KEEP_PARAMS"
  | "SCHED_FLAG_UTIL_CLAMP_MIN"
  | "SCHED_FLAG_UTIL_CLAMP_MAX";

/** sched_setattr(2); times in nanoseconds. */
export interface Scheduler {
  policy: SchedulerPolicy;
  nice?: number | undefined;
  priority?: number | undefined;
  flags?: SchedulerFlag[] | undefined;
  runtime?: Int64 | undefined;
  deadline?: Int64 | undefined;
  period?: Int64 | undefined;
}

export type IoPriorityClass = "IOPRIO_CLASS_RT" | "IOPRIO_CLASS_BE" | "IOPRIO_CLASS_IDLE";

/** ioprio_set(2). */
export interface IoPriority {
  class: IoPriorityClass;
  /** 0 (highest) to 7; absent means 0. */
  priority?: number | undefined;
}

/** CPU lists like `0-3,7`; only for processes that exec adds. */
export interface CpuAffinity {
  initial?: string | undefined;
  final?: string | undefined;
}
