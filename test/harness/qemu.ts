/** The QEMUs of sandboxes: children of their daemons, or forked from another QEMU, but always in the daemon's cgroups. */
import { readdirSync, readFileSync } from "node:fs";

/** The pids of QEMU beside a sandbox's daemon, which is alive. */
export function qemusOf(daemon: number): number[] {
  return besides(daemon, "qemu-system");
}

/** The pids of virtiofsd, which is a process and its child. */
export function virtiofsdsOf(daemon: number): number[] {
  return besides(daemon, "virtiofsd");
}

function besides(daemon: number, program: string): number[] {
  const own = read(daemon, "cgroup");
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => read(pid, "comm").startsWith(program) && read(pid, "cgroup") === own);
}

/** The pid of the daemon that a command has started; undefined before. */
export function startedDaemon(command: number): number | undefined {
  const children = read(command, `task/${command}/children`).split(" ").filter(Boolean).map(Number);
  return children.find((pid) => read(pid, "cmdline").includes("sandbox-daemon"));
}

/** Whether it has not ended; a zombie has. */
export function isRunning(pid: number): boolean {
  const state = /^State:\t(\w)/m.exec(read(pid, "status"))?.[1] ?? "X";
  return state !== "Z" && state !== "X";
}

/** The text of a file of a process in /proc; empty for one that is gone. */
function read(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return "";
  }
}
