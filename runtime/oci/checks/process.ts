/** config.md: Process. Also for the process that `exec --process` adds. */
import type { Int64, Process, Rlimit } from "../../../protocol/oci.ts";
import { absolutePath, type Check, noNulByte } from "./check.ts";
import { parseCpuList } from "./cpu-list.ts";
import type { Problem } from "./problem.ts";

export const process: Check = function* (config) {
  if (config.process === undefined) yield { field: "process", message: "is required to create a container" };
  else yield* processProblems(config.process, "process");
};

/** `field` names the process in the problems: "process". */
export function* processProblems(process: Process, field: string): Iterable<Problem> {
  yield* command(process, field);
  yield* environment(process.env ?? [], `${field}.env`);
  yield* rlimits(process.rlimits ?? [], `${field}.rlimits`);
  yield* oomScore(process, field);
  yield* scheduler(process, field);
  yield* ioPriority(process, field);
  yield* cpuAffinity(process, field);
}

function* command({ args, cwd }: Process, field: string): Iterable<Problem> {
  if (args === undefined || args.length === 0) {
    yield { field: `${field}.args`, message: "must have at least one entry, the command" };
  }
  if (args?.[0] === "") yield { field: `${field}.args[0]`, message: "must not be empty: it is the command" };
  for (const [index, argument] of args?.entries() ?? []) yield* noNulByte(`${field}.args[${index}]`, argument);
  yield* absolutePath(`${field}.cwd`, cwd);
}

/** Says nothing of an entry's text: it may hold a secret. */
function* environment(env: string[], field: string): Iterable<Problem> {
  for (const [index, entry] of env.entries()) {
    if (entry.indexOf("=") < 1) yield { field: `${field}[${index}]`, message: "must have the form NAME=value" };
    yield* noNulByte(`${field}[${index}]`, entry);
  }
}

/** getrlimit(2). */
export const RLIMIT_TYPES: readonly string[] = [
  "RLIMIT_AS",
  "RLIMIT_CORE",
  "RLIMIT_CPU",
  "RLIMIT_DATA",
  "RLIMIT_FSIZE",
  "RLIMIT_LOCKS",
  "RLIMIT_MEMLOCK",
  "RLIMIT_MSGQUEUE",
  "RLIMIT_NICE",
  "RLIMIT_NOFILE",
  "RLIMIT_NPROC",
  "RLIMIT_RSS",
  "RLIMIT_RTPRIO",
  "RLIMIT_RTTIME",
  "RLIMIT_SIGPENDING",
  "RLIMIT_STACK",
];

function* rlimits(limits: Rlimit[], field: string): Iterable<Problem> {
  const seen = new Set<string>();
  for (const [index, { type, soft, hard }] of limits.entries()) {
    const entry = `${field}[${index}]`;
    if (!RLIMIT_TYPES.includes(type)) {
      yield { field: `${entry}.type`, message: `must be a limit of getrlimit(2), not ${JSON.stringify(type)}` };
    }
    if (seen.has(type)) yield { field: `${entry}.type`, message: `names ${type} a second time` };
    seen.add(type);
    if (soft > hard) yield { field: `${entry}.soft`, message: `must be at most the hard limit ${hard}, not ${soft}` };
  }
}

/** proc_pid_oom_score_adj(5). */
function* oomScore({ oomScoreAdj }: Process, field: string): Iterable<Problem> {
  if (oomScoreAdj !== undefined && (oomScoreAdj < -1000 || oomScoreAdj > 1000)) {
    yield { field: `${field}.oomScoreAdj`, message: `must be from -1000 to 1000, not ${oomScoreAdj}` };
  }
}

/** sched_setattr(2), sched(7). */
function* scheduler({ scheduler }: Process, parent: string): Iterable<Problem> {
  if (scheduler === undefined) return;
  const field = `${parent}.scheduler`;
  const { policy, nice = 0, priority = 0, runtime = 0, deadline = 0, period = 0 } = scheduler;
  if (policy === "SCHED_ISO") yield { field: `${field}.policy`, message: "names SCHED_ISO, which Linux never had" };
  if (nice < -20 || nice > 19) yield { field: `${field}.nice`, message: `must be from -20 to 19, not ${nice}` };
  const realTime = policy === "SCHED_FIFO" || policy === "SCHED_RR";
  if (realTime && (priority < 1 || priority > 99)) {
    yield { field: `${field}.priority`, message: `must be from 1 to 99 with ${policy}, not ${priority}` };
  }
  if (!realTime && priority !== 0) {
    yield {
      field: `${field}.priority`,
      message: `must be 0 with ${policy}, because only SCHED_FIFO and SCHED_RR have one`,
    };
  }
  if (policy !== "SCHED_DEADLINE") {
    for (const [name, value] of Object.entries({ runtime, deadline, period })) {
      if (value > 0)
        yield { field: `${field}.${name}`, message: `has a meaning only with SCHED_DEADLINE, not ${policy}` };
    }
    return;
  }
  for (const name of ["runtime", "deadline"] as const) {
    if (scheduler[name] === undefined)
      yield { field, message: `sched_setattr: \`SCHED_DEADLINE\` requires \`${name}\`` };
  }
  if (scheduler.runtime !== undefined && scheduler.deadline !== undefined) {
    for (const message of deadlineProblems(runtime, deadline, period)) {
      yield { field, message: `sched_setattr: \`SCHED_DEADLINE\` ${message}` };
    }
  }
}

/** sched(7), SCHED_DEADLINE; in nanoseconds. */
const SHORTEST_RUNTIME = 1024;
const LONGEST_RUNTIME = 2n ** 63n - 1n;

function* deadlineProblems(runtime: Int64, deadline: Int64, period: Int64): Iterable<string> {
  if (runtime <= 0) yield "runtime must be greater than 0";
  else if (runtime < SHORTEST_RUNTIME || runtime > LONGEST_RUNTIME) {
    yield `runtime ${runtime} must be between ${SHORTEST_RUNTIME} and ${LONGEST_RUNTIME} nanoseconds`;
  }
  if (runtime > deadline) yield `runtime ${runtime} must be <= the deadline ${deadline}`;
  if (period > 0 && deadline > period) yield `deadline ${deadline} must be <= the period ${period}`;
}

/** ioprio_set(2). */
function* ioPriority({ ioPriority }: Process, field: string): Iterable<Problem> {
  const priority = ioPriority?.priority ?? 0;
  if (priority < 0 || priority > 7) {
    yield { field: `${field}.ioPriority.priority`, message: `must be from 0 to 7, not ${priority}` };
  }
}

function* cpuAffinity({ execCPUAffinity }: Process, field: string): Iterable<Problem> {
  for (const name of ["initial", "final"] as const) {
    const list = execCPUAffinity?.[name] ?? "";
    if (parseCpuList(list) === undefined) {
      yield {
        field: `${field}.execCPUAffinity.${name}`,
        message: `must be a list of CPUs like "0-3,7", not "${list}"`,
      };
    }
  }
}
