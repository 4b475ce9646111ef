import type { Rlimit } from "../../protocol/oci.ts";
import type { Step } from "../container-init/steps.ts";
import { invalid } from "./unsupported.ts";

/** asm-generic/resource.h: the position in the list is the number. */
const NAMES = [
  "RLIMIT_CPU",
  "RLIMIT_FSIZE",
  "RLIMIT_DATA",
  "RLIMIT_STACK",
  "RLIMIT_CORE",
  "RLIMIT_RSS",
  "RLIMIT_NPROC",
  "RLIMIT_NOFILE",
  "RLIMIT_MEMLOCK",
  "RLIMIT_AS",
  "RLIMIT_LOCKS",
  "RLIMIT_SIGPENDING",
  "RLIMIT_MSGQUEUE",
  "RLIMIT_NICE",
  "RLIMIT_RTPRIO",
  "RLIMIT_RTTIME",
];

/** The steps, one a limit. Raising a hard limit needs CAP_SYS_RESOURCE of the guest itself, hence `supervised`. */
export function rlimitSteps(rlimits: readonly Rlimit[], supervised: boolean): Step[] {
  return rlimits.map((rlimit, index) => {
    const field = `process.rlimits[${index}]`;
    const resource = NAMES.indexOf(rlimit.type);
    if (resource < 0) throw invalid(`${field}.type`, `there is no resource limit "${rlimit.type}".`);
    return {
      op: "rlimit",
      resource,
      soft: BigInt(rlimit.soft),
      hard: BigInt(rlimit.hard),
      ...(supervised && { supervised }),
      field,
      subject: rlimit.type,
      task: "setting the limit",
    };
  });
}
