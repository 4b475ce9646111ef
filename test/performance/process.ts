/** What a process uses, from /proc (proc(5)). */
import { readdirSync, readFileSync } from "node:fs";

const KIB_PER_MIB = 1024;
/** USER_HZ. */
const TICKS_PER_SECOND = 100;

/** Whether it is gone, or waits as a zombie for its parent. */
export function hasEnded(pid: number): boolean {
  const state = statFields(pid)[0];
  return state === undefined || state === "Z" || state === "X";
}

/** The other processes of its cgroups. */
export function companionsOf(pid: number): number[] {
  const own = cgroups(pid);
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((each) => each !== pid && cgroups(each) === own);
}

export function parentOf(pid: number): number {
  return Number(statFields(pid)[1]);
}

/** The text of a process's cgroups; empty for one that is gone. */
function cgroups(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, "utf8");
  } catch {
    return "";
  }
}

/** Proportional set size in MiB: a page shared by n processes counts as one nth of a page in each. */
export function pss(pid: number): number {
  return field(`/proc/${pid}/smaps_rollup`, "Pss") / KIB_PER_MIB;
}

/** The most memory it ever had resident, in MiB, pages that it shares included. */
export function peakMemory(pid: number): number {
  return field(`/proc/${pid}/status`, "VmHWM") / KIB_PER_MIB;
}

/** Seconds of processor time so far, of all its threads. */
export function processorSeconds(pid: number): number {
  const fields = statFields(pid);
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** What follows the name in /proc/PID/stat, from the state on; nothing when there is no such process. */
function statFields(pid: number): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name is in brackets and may hold anything, brackets too.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return [];
  }
}

/** @throws Error when the file or the field, in kB, is not there. */
function field(path: string, name: string): number {
  const [, kib] = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(readFileSync(path, "utf8")) ?? [];
  if (kib === undefined) throw new Error(`${path} has no field ${name}.`);
  return Number(kib);
}
