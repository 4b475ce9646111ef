/** Which process a pid meant when it was written down: pids are used again, and every pid is after a reboot. */
import { readFileSync } from "node:fs";
import { CaissonError } from "../../protocol/errors.ts";
import { systemErrorSentence } from "../text/errors.ts";

export interface ProcessIdentity {
  pid: number;
  /** Clock ticks after boot (proc_pid_stat(5), field 22); with the pid it is unique during one boot. */
  startTime: number;
  bootId: string;
}

/**
 * The identity of a process that runs, by default this one; nothing when there is none or it is a zombie.
 * @param zombie whether it may be one.
 */
export function processIdentity(
  pid: number | "self" = "self",
  { zombie = false }: { zombie?: boolean } = {},
): ProcessIdentity | undefined {
  const stat = readStat(pid, zombie);
  return stat === undefined ? undefined : { ...stat, bootId: bootId() };
}

/** Whether exactly this process still runs. A zombie does not. */
export function isAlive({ pid, startTime, bootId: boot }: ProcessIdentity): boolean {
  return boot === bootId() && readStat(pid)?.startTime === startTime;
}

function bootId(): string {
  const path = "/proc/sys/kernel/random/boot_id";
  try {
    return readFileSync(path, "latin1").trim();
  } catch (cause) {
    throw new CaissonError("CAISSON_E_HOST", systemErrorSentence(`read ${path}`, cause), {
      cause,
      remedy: "Is /proc mounted?",
    });
  }
}

function readStat(pid: number | "self", zombie = false): { pid: number; startTime: number } | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // Field 2 is the command's name in parentheses, and may hold spaces and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  if ((state === "Z" && !zombie) || state === "X") return undefined;
  return { pid: Number.parseInt(stat, 10), startTime: Number(fields[19]) };
}
