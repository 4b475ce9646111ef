/** Compiles an OCI configuration into the step list that container-init carries out (docs/design.md, section 3). */
import type { Process, Spec } from "../protocol/oci.ts";
import type { Step } from "./steps.ts";

/** A seccomp filter that is ready to load. */
export interface SeccompFilter {
  /** struct sock_filter[], as libseccomp exports it. */
  program: Uint8Array;
  /** SECCOMP_FILTER_FLAG_*. */
  flags: number;
}

export interface CreateInput {
  config: Spec;
  /** The root file system in the guest, absolute; in place of `config.root.path`. */
  rootfs: string;
  /** The container's cgroup, `/sys/fs/cgroup/...`; it must exist with its limits set. Empty: stay where the agent is. */
  cgroupPath: string;
  /** The terminal's first window size, in characters; 0 means unset. */
  rows: number;
  columns: number;
  seccomp?: SeccompFilter;
  /** Stop before pivot_root for createContainer hooks: the plan then has a barrier of that name. */
  stopForHooks?: boolean;
}

export interface ExecInput {
  process: Process;
  /** The container's own configuration: which namespaces there are, and the defaults of `process`. */
  config: Spec;
  /** The container's init process, as the guest's root pid namespace sees it. */
  initPid: number;
  cgroupPath: string;
  rows: number;
  columns: number;
  seccomp?: SeccompFilter;
}

/** `encodePlan(plan.steps)` (wire.ts) goes to container-init, `describeFailure(plan, report)` reads what comes back. */
export interface Plan {
  steps: Step[];
}

export { describeFailure } from "./plan/diagnosis.ts";
