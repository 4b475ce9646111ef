/** config-linux.md, Seccomp. */
import type { Int64 } from "./integer.ts";

export type SeccompAction =
  | "SCMP_ACT_KILL"
  | "SCMP_ACT_KILL_PROCESS"
  | "SCMP_ACT_KILL_THREAD"
  | "SCMP_ACT_TRAP"
  | "SCMP_ACT_ERRNO"
  | "SCMP_ACT_TRACE"
  | "SCMP_ACT_ALLOW"
  | "SCMP_ACT_LOG"
  | "SCMP_ACT_NOTIFY";

export type SeccompOperator =
  | "SCMP_CMP_NE"
  | "SCMP_CMP_LT"
  | "SCMP_CMP_LE"
  | "SCMP_CMP_EQ"
  | "SCMP_CMP_GE"
  | "SCMP_CMP_GT"
  | "SCMP_CMP_MASKED_EQ";

export type SeccompFlag =
  | "SECCOMP_FILTER_FLAG_TSYNC"
  | "SECCOMP_FILTER_FLAG_LOG"
  | "SECCOMP_FILTER_FLAG_SPEC_ALLOW"
  | "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV";

export interface Seccomp {
  defaultAction: SeccompAction;
  defaultErrnoRet?: number | undefined;
  /** libseccomp's names, `SCMP_ARCH_X86_64`; those of other machines are allowed and have no effect. */
  architectures?: string[] | undefined;
  flags?: SeccompFlag[] | undefined;
  listenerPath?: string | undefined;
  listenerMetadata?: string | undefined;
  syscalls?: SeccompSyscall[] | undefined;
}

export interface SeccompSyscall {
  names: string[];
  action: SeccompAction;
  errnoRet?: number | undefined;
  args?: SeccompArgument[] | undefined;
}

export interface SeccompArgument {
  index: number;
  value: Int64;
  /** The second value of SCMP_CMP_MASKED_EQ: compared with the argument masked by `value`. */
  valueTwo?: Int64 | undefined;
  op: SeccompOperator;
}
