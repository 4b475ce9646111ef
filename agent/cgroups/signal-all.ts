import type { Cgroup } from "./cgroup.ts";
import { freeze, thaw } from "./freezer.ts";

const SIGKILL = 9;

/** Sends a signal to all processes of a cgroup, which is frozen meanwhile, and afterwards if it was before. */
export async function signalAll(cgroup: Cgroup, signal: number, isFrozen: boolean): Promise<void> {
  if (signal === SIGKILL) {
    await cgroup.kill();
    return;
  }
  // While they are frozen no process can fork away from under the loop.
  if (!isFrozen) await freeze(cgroup);
  try {
    for (const pid of cgroup.processes()) process.kill(pid, signal);
  } finally {
    if (!isFrozen) await thaw(cgroup);
  }
}
