/** config-linux.md, Seccomp: actions, operators and flags as libseccomp and the kernel number them. */
import type { SeccompConstants } from "../../../native/seccomp/index.ts";
import type { SeccompAction, SeccompFlag, SeccompOperator } from "../../../protocol/oci.ts";

/** errno(3) EPERM: what ERRNO and TRACE return when the configuration names no code. */
const EPERM = 1;

/** An action's number, its return code in the low 16 bits (SECCOMP_RET_DATA). */
export function actionNumber(constants: SeccompConstants, action: SeccompAction, errnoRet: number = EPERM): number {
  switch (action) {
    case "SCMP_ACT_KILL":
    case "SCMP_ACT_KILL_THREAD":
      return constants.SCMP_ACT_KILL_THREAD;
    case "SCMP_ACT_KILL_PROCESS":
      return constants.SCMP_ACT_KILL_PROCESS;
    case "SCMP_ACT_TRAP":
      return constants.SCMP_ACT_TRAP;
    case "SCMP_ACT_LOG":
      return constants.SCMP_ACT_LOG;
    case "SCMP_ACT_ALLOW":
      return constants.SCMP_ACT_ALLOW;
    case "SCMP_ACT_ERRNO":
      return constants.SCMP_ACT_ERRNO | errnoRet;
    case "SCMP_ACT_TRACE":
      return constants.SCMP_ACT_TRACE | errnoRet;
    case "SCMP_ACT_NOTIFY":
      // runtime/oci/unsupported.ts refuses the listener that it needs.
      throw new Error("SCMP_ACT_NOTIFY has no number here");
  }
}

/** All that are carried out, as `features` lists them. */
export const SECCOMP_ACTIONS: readonly SeccompAction[] = [
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_KILL",
  "SCMP_ACT_KILL_PROCESS",
  "SCMP_ACT_KILL_THREAD",
  "SCMP_ACT_LOG",
  "SCMP_ACT_TRACE",
  "SCMP_ACT_TRAP",
];

export const SECCOMP_OPERATORS: readonly SeccompOperator[] = [
  "SCMP_CMP_EQ",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_LE",
  "SCMP_CMP_LT",
  "SCMP_CMP_MASKED_EQ",
  "SCMP_CMP_NE",
];

/** The architectures that the guest's kernel runs programs of; it never sees a call of another one. */
export const SECCOMP_ARCHITECTURES = ["SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"] as const;

/** linux/seccomp.h. The process that loads the filter has one thread, so there is nothing to synchronise. */
const FLAGS = {
  SECCOMP_FILTER_FLAG_TSYNC: 0,
  SECCOMP_FILTER_FLAG_LOG: 1 << 1,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 1 << 2,
} satisfies { [flag in SeccompFlag]?: number };

export const SECCOMP_FLAGS = Object.keys(FLAGS) as (keyof typeof FLAGS)[];

/** The flags of seccomp(2). As runc does, absent flags (an empty list is not) leave speculation as it is. */
export function flagBits(flags: readonly SeccompFlag[] | undefined): number {
  const known: { [flag in SeccompFlag]?: number } = FLAGS;
  return (flags ?? ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]).reduce((bits, flag) => bits | (known[flag] ?? 0), 0);
}
