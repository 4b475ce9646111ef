import { existsSync } from "node:fs";
import { CaissonError } from "../../../protocol/errors.ts";
import { unfreeze } from "../../cgroup/freezer.ts";
import { listens } from "../../control/ask.ts";
import type { GlobalSettings } from "../../control/plain-command.ts";
import { requireAllowed } from "../../guest/lifecycle.ts";
import { now } from "../../process/clock.ts";
import { delay } from "../../process/delay.ts";
import { removeStopped } from "../../sandbox/cleanup.ts";
import { statePaths } from "../../state/paths.ts";
import { isAlive, type ProcessIdentity } from "../../state/process-identity.ts";
import type { StateRecord } from "../../state/record.ts";
import { readFormerState, readState } from "../../state/store.ts";
import { formatError } from "../../text/errors.ts";
import { log } from "../../text/log.ts";

const KILL_LIMIT_MS = 5000;
const POLL_MS = 5;

/** Removes a container and all it holds. @param force ends it first if it runs, and does nothing if there is none. */
export async function deleteContainer({ root }: GlobalSettings, id: string, force: boolean): Promise<void> {
  let record: StateRecord;
  try {
    record = readState(root, id);
  } catch (error) {
    if (!force || !(error instanceof CaissonError)) throw error;
    if (error.code === "CAISSON_E_NOT_FOUND" && !existsSync(statePaths(root, id).directory)) return;
    if (error.code !== "CAISSON_E_STORAGE" && error.code !== "CAISSON_E_NOT_FOUND") throw error;
    const former = readFormerState(root, id);
    if (former === undefined) {
      const { removeWithoutRecord } = await import("../../sandbox/lost-record.ts");
      return await removeWithoutRecord(root, id);
    }
    log.warning(`${formatError(error)} The record before its last change is used.`);
    record = former;
  }
  const remedy = "Stop it with caisson kill first, or use --force.";
  if (!force) requireAllowed("delete", id, record.status, { remedy });
  await endDaemon(statePaths(root, id).directory, record.daemon);
  await removeStopped(root, record);
}

/**
 * Ends the daemon, and with it the container and its VM; returns when the process is gone. Where it has gone already another
 * one may answer, whose VM the container was in: it is taking the container down, and leaves its cgroup.
 */
async function endDaemon(directory: string, daemon: ProcessIdentity): Promise<void> {
  if (isAlive(daemon)) unfreeze(daemon.pid);
  if (listens(directory)) {
    const { shutDown } = await import("../../control/shut-down.ts");
    await shutDown(directory);
  }
  if (await isGone(daemon, KILL_LIMIT_MS)) return;
  kill(daemon);
  if (await isGone(daemon, KILL_LIMIT_MS)) return;
  throw new CaissonError("CAISSON_E_HOST", `the sandbox daemon (pid ${daemon.pid}) does not die`, {
    remedy: "It waits in the kernel: look at /proc/<pid>/stack and dmesg.",
  });
}

/** Polls, since a process that is not our child reports its end to nobody. */
async function isGone(daemon: ProcessIdentity, limitMs: number): Promise<boolean> {
  for (const end = now() + limitMs; now() < end; await delay(POLL_MS)) {
    if (!isAlive(daemon)) return true;
  }
  return false;
}

function kill({ pid }: ProcessIdentity): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // The process went by itself just now.
  }
}
