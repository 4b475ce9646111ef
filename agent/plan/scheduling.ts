import type { Linux, Process } from "../../protocol/oci.ts";
import type { Step } from "../container-init/steps.ts";
import { invalid } from "./unsupported.ts";

/** linux/sched.h */
const POLICIES = new Map([
  ["SCHED_OTHER", 0],
  ["SCHED_FIFO", 1],
  ["SCHED_RR", 2],
  ["SCHED_BATCH", 3],
  ["SCHED_ISO", 4],
  ["SCHED_IDLE", 5],
  ["SCHED_DEADLINE", 6],
]);
const FLAGS = new Map([
  ["SCHED_FLAG_RESET_ON_FORK", 0x01n],
  ["SCHED_FLAG_RECLAIM", 0x02n],
  ["SCHED_FLAG_DL_OVERRUN", 0x04n],
  ["SCHED_FLAG_KEEP_POLICY", 0x08n],
  ["SCHED_FLAG_KEEP_PARAMS", 0x10n],
  ["SCHED_FLAG_UTIL_CLAMP_MIN", 0x20n],
  ["SCHED_FLAG_UTIL_CLAMP_MAX", 0x40n],
]);
/** linux/ioprio.h; the class lies above 13 bits of level. */
const IO_CLASSES = new Map([
  ["IOPRIO_CLASS_RT", 1],
  ["IOPRIO_CLASS_BE", 2],
  ["IOPRIO_CLASS_IDLE", 3],
]);
/** linux/personality.h */
const PERSONALITIES = new Map([
  ["LINUX", 0x0],
  ["LINUX32", 0x8],
]);

/** CPU and I/O scheduling and the execution domain: what a process has beside its rights and its limits. */
export function schedulingSteps(process: Process, linux: Linux | undefined, supervised: boolean): Step[] {
  const steps: Step[] = [];
  const { scheduler, ioPriority } = process;
  if (scheduler !== undefined) {
    steps.push({
      op: "scheduler",
      policy: lookUp(POLICIES, scheduler.policy, "process.scheduler.policy"),
      flags: (scheduler.flags ?? []).reduce((all, flag) => all | lookUp(FLAGS, flag, "process.scheduler.flags"), 0n),
      nice: scheduler.nice ?? 0,
      priority: scheduler.priority ?? 0,
      runtime: BigInt(scheduler.runtime ?? 0),
      deadline: BigInt(scheduler.deadline ?? 0),
      period: BigInt(scheduler.period ?? 0),
      ...(supervised && { supervised }),
      field: "process.scheduler",
      subject: scheduler.policy,
      task: "setting the scheduling policy",
    });
  }
  if (ioPriority !== undefined) {
    const ioClass = lookUp(IO_CLASSES, ioPriority.class, "process.ioPriority.class");
    steps.push({
      op: "ioPriority",
      value: (ioClass << 13) | (ioPriority.priority ?? 0),
      ...(supervised && { supervised }),
      field: "process.ioPriority",
      subject: ioPriority.class,
      task: "setting the I/O priority",
    });
  }
  if (linux?.personality !== undefined) {
    steps.push({
      op: "personality",
      value: lookUp(PERSONALITIES, linux.personality.domain, "linux.personality.domain"),
      field: "linux.personality.domain",
      subject: linux.personality.domain,
      task: "setting the execution domain",
    });
  }
  return steps;
}

/** The CPUs that a list such as `0-3,7` names (cpuset(7), list format). */
export function affinityStep(list: string, field: string): Step {
  const mask = new Uint8Array(128);
  for (const range of list.split(",")) {
    const match = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(range);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (match === null || last < first || last >= mask.length * 8) {
      throw invalid(field, `must be a list of CPUs like "0-3,7", not ${JSON.stringify(list)}`);
    }
    for (let cpu = first; cpu <= last; cpu++) mask[cpu >> 3] = (mask[cpu >> 3] ?? 0) | (1 << (cpu & 7));
  }
  return { op: "affinity", mask, field, subject: list, task: "binding the process to its CPUs" };
}

function lookUp<T>(table: ReadonlyMap<string, T>, name: string, field: string): T {
  const value = table.get(name);
  if (value === undefined) throw invalid(field, `must be one of ${[...table.keys()].join(", ")}, not "${name}"`);
  return value;
}
