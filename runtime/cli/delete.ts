import { existsSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import type { Command } from "commander";
import { CaissonError } from "../../protocol/errors.ts";
import { unfreeze } from "../cgroup/freezer.ts";
import { shutDown } from "../control/shut-down.ts";
import { requireAllowed } from "../guest/lifecycle.ts";
import { now } from "../process/clock.ts";
import { removeStopped } from "../sandbox/cleanup.ts";
import { removeWithoutRecord } from "../sandbox/lost-record.ts";
import { statePaths } from "../state/paths.ts";
import { isAlive, type ProcessIdentity } from "../state/process-identity.ts";
import type { StateRecord } from "../state/record.ts";
import { listStates, readFormerState, readState } from "../state/store.ts";
import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import { type Globals, verb } from "./command.ts";

const KILL_LIMIT_MS = 5000;
const POLL_MS = 5;

export function command(globals: Globals): Command {
  return verb("delete", "Removes a container and all it holds.")
    .argument("<container-id>")
    .option("-f, --force", "end it first if it runs (SIGKILL); do nothing if it does not exist")
    .option("-r, --regex", "the id is a regular expression: all containers that it matches")
    .action((id: string, { force = false, regex = false }: { force?: boolean; regex?: boolean }) =>
      regex ? deleteMatching(globals, id, force) : deleteContainer(globals, id, force),
    );
}

/** Goes on after a failure, and throws the last one. */
async function deleteMatching(globals: Globals, text: string, force: boolean): Promise<void> {
  const wanted = pattern(text);
  const ids = listStates(globals.root, (reason) => log.warning(reason)).map(({ id }) => id);
  let failure: { error: unknown } | undefined;
  for (const id of ids.filter((each) => wanted.test(each))) {
    try {
      await deleteContainer(globals, id, force);
    } catch (error) {
      if (failure !== undefined) log.error(formatError(failure.error));
      failure = { error };
    }
  }
  if (failure !== undefined) throw failure.error;
}

function pattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (cause) {
    throw new CaissonError("CAISSON_E_USAGE", `--regex: ${JSON.stringify(text)} is not a regular expression`, {
      cause,
    });
  }
}

async function deleteContainer({ root }: Globals, id: string, force: boolean): Promise<void> {
  let record: StateRecord;
  try {
    record = readState(root, id);
  } catch (error) {
    if (!force || !(error instanceof CaissonError)) throw error;
    if (error.code === "CAISSON_E_NOT_FOUND" && !existsSync(statePaths(root, id).directory)) return;
    if (error.code !== "CAISSON_E_STORAGE" && error.code !== "CAISSON_E_NOT_FOUND") throw error;
    const former = readFormerState(root, id);
    if (former === undefined) return await removeWithoutRecord(root, id);
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
  await shutDown(directory);
  if (await isGone(daemon, KILL_LIMIT_MS)) return;
  kill(daemon);
  if (await isGone(daemon, KILL_LIMIT_MS)) return;
  throw new CaissonError("CAISSON_E_HOST", `the sandbox daemon (pid ${daemon.pid}) does not die`, {
    remedy: "It waits in the kernel: look at /proc/<pid>/stack and dmesg.",
  });
}

/** Polls, since a process that is not our child reports its end to nobody. */
async function isGone(daemon: ProcessIdentity, limitMs: number): Promise<boolean> {
  for (const end = now() + limitMs; now() < end; await setTimeout(POLL_MS)) {
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
