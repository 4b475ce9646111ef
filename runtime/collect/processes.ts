import { readdirSync, readFileSync } from "node:fs";
import type { StateRecord } from "../state/record.ts";

/** A sandbox has a handful of processes, of some ten threads. */
const MOST_PROCESSES = 64;
const MOST_THREADS = 64;
const SHOWN = /^(Name|State|Threads|VmRSS|voluntary_ctxt_switches|Seccomp|NSpid):.*$/gm;

/**
 * What the daemon of a sandbox and those that it has started do, for whoever wonders why nothing moves: where each thread
 * waits in the kernel. Neither arguments nor environments are read.
 */
export function describeProcesses({ daemon, status }: StateRecord, directory: string): string {
  const heading = `state in ${directory}: ${status}; daemon ${daemon.pid}\n`;
  if (status === "stopped") return heading;
  const pids = [daemon.pid];
  for (let at = 0; at < pids.length && pids.length < MOST_PROCESSES; at++) pids.push(...childrenOf(pids[at] ?? 0));
  return heading + pids.map(describe).join("");
}

function childrenOf(pid: number): number[] {
  return threadsOf(pid).flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`).split(" ").filter(Boolean).map(Number),
  );
}

function describe(pid: number): string {
  const facts = (read(`/proc/${pid}/status`).match(SHOWN) ?? []).map((line) => line.replace("\t", " ")).join(", ");
  const threads = threadsOf(pid)
    .slice(0, MOST_THREADS)
    .map((thread) => describeThread(pid, thread));
  return `\nprocess ${pid}: ${facts}\n${threads.join("")}`;
}

function describeThread(pid: number, thread: string): string {
  const folder = `/proc/${pid}/task/${thread}`;
  const stack = read(`${folder}/stack`)
    .trim()
    .split("\n")
    .map((line) => line.replace(/^\[<0>\] /, ""))
    .join(" < ");
  const state = /\) (\S)/.exec(read(`${folder}/stat`))?.[1] ?? "?";
  return `  thread ${thread} ${read(`${folder}/comm`).trim()} ${state} in ${read(`${folder}/wchan`) || "?"}: ${stack}\n`;
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** What the kernel says of a process; the process may have ended, or the kernel may not say. */
function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
