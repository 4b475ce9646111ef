import type { Spec } from "../../protocol/oci.ts";
import type { Step } from "../container-init/steps.ts";
import { invalid, unsupported } from "./unsupported.ts";

/** A filter that the host has compiled. */
export interface SeccompFilter {
  /** struct sock_filter[]. */
  program: Uint8Array;
  /** SECCOMP_FILTER_FLAG_*. */
  flags: number;
}

/** linux/bpf_common.h: BPF_MAXINSNS instructions of 8 bytes. */
const MAX_PROGRAM_BYTES = 4096 * 8;

/** The filter that came with the configuration; throws when one is missing, or is none: then nothing may run. */
export function checkFilter(config: Spec, filter: SeccompFilter | undefined): SeccompFilter | undefined {
  if (filter === undefined) {
    if (config.linux?.seccomp === undefined) return undefined;
    throw unsupported("linux.seccomp", "came without its compiled program");
  }
  const { length } = filter.program;
  if (length === 0 || length % 8 !== 0 || length > MAX_PROGRAM_BYTES) {
    throw invalid("linux.seccomp", `a program of ${length} bytes is no system call filter`);
  }
  return filter;
}

/**
 * Loads the filter, at one of two places. It takes CAP_SYS_ADMIN unless no_new_privs is set (seccomp(2)): without that
 * it is loaded before the user changes and the capabilities go, and with it as the very last, so that it need not allow
 * what the way into the program takes; startContainer hooks load it for themselves, too.
 */
export function seccompSteps(
  filter: SeccompFilter | undefined,
  noNewPrivileges: boolean,
): { privileged: Step[]; last: Step[] } {
  if (filter === undefined) return { privileged: [], last: [] };
  const about = { field: "linux.seccomp", task: "loading the system call filter" };
  const { program, flags } = filter;
  if (!noNewPrivileges) return { privileged: [{ op: "seccomp", flags, program, ...about }], last: [] };
  return { privileged: [], last: [{ op: "seccompAtExecute", flags, program, ...about }] };
}
