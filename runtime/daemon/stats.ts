import type { ProcessInfo, StatsResponse } from "../../protocol/generated/agent.ts";
import type { ContainerProcess } from "../control/protocol.ts";
import { printable } from "../guest/agent/printable.ts";

/** The guest's process list, as control messages have it. */
export function toContainerProcesses(processes: readonly ProcessInfo[]): ContainerProcess[] {
  return processes.map((process) => ({
    pid: process.pid,
    parentPid: process.parentPid,
    uid: process.uid,
    tty: printable(process.tty),
    cpuNs: process.cpuNs.toString(),
    startedAt: Number(process.startedAtNs / 1_000_000n),
    command: printable(process.command),
    stat: printable(process.stat),
    virtualKib: Number(process.virtualBytes / 1024n),
    residentKib: Number(process.residentBytes / 1024n),
    memoryPermille: process.memoryPermille,
  }));
}

/** The guest's statistics with 64-bit numbers as decimal strings, which every JSON reader keeps exact. */
export function toStats(stats: StatsResponse): unknown {
  return JSON.parse(JSON.stringify(stats, (_key, value) => (typeof value === "bigint" ? value.toString() : value)));
}
