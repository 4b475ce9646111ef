/**
 * What the host believes of an answer: the guest is hostile, and protobuf gives every missing field a value. Whatever
 * reads an answer may take it for what agent.proto promises.
 */
import type * as agent from "../../../protocol/generated/agent.ts";
import { MEMORY_STEPS } from "../../../protocol/guest-memory.ts";

/** PID_MAX_LIMIT of 64-bit kernels (include/linux/threads.h). */
const MOST_PID = 2 ** 22;
const MOST_SIGNAL = 64;
/** The latest time in nanoseconds since the epoch: the year 2262. */
const MOST_NS = 2n ** 63n - 1n;
/** What can be counted. */
const MOST_BYTES = BigInt(Number.MAX_SAFE_INTEGER);
const MAC_LENGTH = 6;
/** The kernel counts interfaces in an int. */
const MOST_INDEX = 2 ** 31 - 1;
const MOST_CPUS = 255;
/** Names of memory.stat's and memory.events' keys, and of huge page sizes (cgroup-v2.rst). */
const KEY = /^[A-Za-z0-9_]{1,64}$/;
/** What ps shows for a terminal: pts/3, ttyS0, or "?". */
const TTY = /^(\?|[a-zA-Z0-9/]{1,32})$/;

/** The states as ps(1) shows them: Ss, R<l+. */
const STATE = /^[!-~]{1,16}$/;

/** The most disks, and interfaces, that a guest may tell of. */
const MOST_DEVICES = 64;

/** The first thing that is wrong, as "field is ..."; undefined when nothing is. */
type Problem = string | undefined;

export interface Answers {
  check: agent.CheckResponse;
  attachNetworkDevice: agent.AttachNetworkDeviceResponse;
  growSandbox: agent.GrowSandboxResponse;
  createContainer: agent.ProcessNews;
  startContainer: agent.StartContainerResponse;
  execProcess: agent.ProcessNews;
  /** What comes after the first message of these two. */
  processNews: agent.ProcessNews;
  awaitOutput: agent.AwaitOutputResponse;
  listProcesses: agent.ListProcessesResponse;
  stats: agent.StatsResponse;
  guestStats: agent.GuestStatsResponse;
}

const CHECKS: { [Name in keyof Answers]: (answer: Answers[Name]) => Problem } = {
  check: ({ networkDevices }) =>
    firstOf(networkDevices, "network_devices", ({ index, mac }) => {
      if (index === 0) return "index is 0";
      return mac.length === MAC_LENGTH ? undefined : `mac has ${mac.length} bytes`;
    }),
  attachNetworkDevice: ({ index }) => (index === 0 ? "index is 0" : atMost("index", index, MOST_INDEX)),
  growSandbox: ({ memorySteps, cpus }) =>
    atMost("memory_steps", memorySteps, MEMORY_STEPS.length) ?? atMost("cpus", cpus, MOST_CPUS),
  createContainer: ({ pid, created }) => pidProblem("pid", pid) ?? timesProblem(created),
  // Containers that run already may set the clock.
  startContainer: ({ receivedNs, answeredNs }) =>
    atMost("received_ns", receivedNs, MOST_NS) ?? atMost("answered_ns", answeredNs, MOST_NS),
  execProcess: ({ pid }) => pidProblem("pid", pid),
  processNews: ({ exit }) =>
    exit && (atMost("exit.exit_code", exit.exitCode, 255) ?? atMost("exit.signal", exit.signal, MOST_SIGNAL)),
  awaitOutput: ({ bytes }) => atMost("bytes", bytes, MOST_BYTES),
  listProcesses: ({ processes }) => {
    const seen = new Set<number>();
    return firstOf(processes, "processes", ({ pid, parentPid, tty, startedAtNs, stat, memoryPermille }) => {
      if (seen.has(pid)) return `pid is ${pid} for the second time`;
      seen.add(pid);
      if (startedAtNs === 0n) return "started_at_ns is 0";
      if (!TTY.test(tty)) return "tty is no terminal's name";
      if (!STATE.test(stat)) return "stat is no state of a process";
      return (
        pidProblem("pid", pid) ??
        atMost("parent_pid", parentPid, MOST_PID) ??
        atMost("memory_permille", memoryPermille, 1000)
      );
    });
  },
  stats: ({ cpu, memory, hugetlb }) =>
    firstOf([...Object.keys(memory?.stat ?? {})], "memory.stat", keyProblem) ??
    firstOf([...Object.keys(memory?.events ?? {})], "memory.events", keyProblem) ??
    firstOf(hugetlb, "hugetlb", ({ pageSize }) => keyProblem(pageSize)) ??
    pressureProblem("cpu.pressure", cpu?.pressure) ??
    pressureProblem("memory.pressure", memory?.pressure),
  guestStats: ({ disks, interfaces, load, cpuPressure, memoryPressure, ioPressure }) =>
    tooMany("disks", disks) ??
    tooMany("interfaces", interfaces) ??
    loadProblem(load) ??
    pressureProblem("cpu_pressure", cpuPressure) ??
    pressureProblem("memory_pressure", memoryPressure) ??
    pressureProblem("io_pressure", ioPressure),
};

/** What is wrong with an answer, as the end of a sentence; undefined when nothing is. */
export function answerProblem(call: string, answer: unknown): Problem {
  if (!Object.hasOwn(CHECKS, call)) return undefined;
  const check = CHECKS[call as keyof Answers] as (answer: unknown) => Problem;
  return check(answer);
}

function firstOf<T>(items: readonly T[], name: string, problemOf: (item: T) => Problem): Problem {
  for (const [index, item] of items.entries()) {
    const problem = problemOf(item);
    if (problem !== undefined) return `${name}[${index}].${problem}`;
  }
  return undefined;
}

function pidProblem(field: string, pid: number): Problem {
  return pid === 0 ? `${field} is 0` : atMost(field, pid, MOST_PID);
}

function timesProblem(times: agent.ContainerTimes | undefined): Problem {
  if (times === undefined) return "created is missing";
  const { receivedNs, answeredNs, initBegunNs, initReachedNs } = times;
  return (
    atMost("created.received_ns", receivedNs, answeredNs) ??
    atMost("created.answered_ns", answeredNs, MOST_NS) ??
    atMost("created.init_begun_ns", initBegunNs, MOST_NS) ??
    atMost("created.init_reached_ns", initReachedNs, MOST_NS)
  );
}

function atMost<N extends number | bigint>(field: string, value: N, most: N): Problem {
  return value <= most ? undefined : `${field} is ${value}`;
}

function tooMany(field: string, items: readonly unknown[]): Problem {
  return items.length <= MOST_DEVICES ? undefined : `${field} has ${items.length} entries`;
}

function loadProblem(load: agent.GuestLoad | undefined): Problem {
  const averages = [load?.load1, load?.load5, load?.load15];
  return averages.every((value = 0) => Number.isFinite(value) && value >= 0)
    ? undefined
    : "load has a negative average";
}

function keyProblem(key: string): Problem {
  return KEY.test(key) ? undefined : "name is none";
}

function pressureProblem(field: string, pressure: agent.Pressure | undefined): Problem {
  const averages = [pressure?.some, pressure?.full].flatMap((line) => [line?.avg10, line?.avg60, line?.avg300]);
  const isPercentage = (value = 0) => value >= 0 && value <= 100;
  return averages.every(isPercentage) ? undefined : `${field} has an average that is no percentage`;
}
