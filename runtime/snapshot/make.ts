/** The process that makes the snapshot: it has loaded what the others need, is written to a file, and tries what is restored from it. */
import { closeSync, existsSync, openSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { queryObjects } from "node:v8";
import { builtFile } from "../../native/addon.ts";
import { constants, flock, type ProcessEnd, reapIfEnded, spawnProgram } from "../../native/posix/index.ts";
import { dump, type Restored } from "../../native/snapshot/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { leaveCgroups, SharedCgroup } from "../cgroup/cgroup.ts";
import { MAKERS_CGROUP } from "../factory/deferred.ts";
import { makePrivateFolder } from "../factory/template/space.ts";
import { now } from "../process/clock.ts";
import { delay } from "../process/delay.ts";
import { freeMemory } from "../process/free-memory.ts";
import type { Role } from "../process/roles.ts";
import { FAILED, hasFailed, snapshotFolder, snapshotName } from "../process/snapshot.ts";
import { isSystemError } from "../text/errors.ts";
import { beginRestored } from "./begin.ts";
import { FIRST_DESCRIPTOR } from "./spawn.ts";

/** Snapshots of other installations that stay beside a new one. */
const OTHERS = 3;
const SETTLING_MS = 100;
/** In one of a thousand a library is by chance where the snapshot's memory has to be. */
const TRIALS = 3;
const TRIAL_LIMIT_MS = 20_000;
const TRIAL_POLL_MS = 5;
/** What a trial ends with; the program in place of which it is restored never does. */
export const TRIED = 86;
const TRIAL: Role = "try-snapshot";
const NOT_RESTORED = "/bin/false";

/** As make(); the cgroup in which it is done goes with this process, unless others are in it. */
export async function makeSnapshot(script: string, load: () => Promise<void>): Promise<boolean> {
  let isRestored = false;
  try {
    isRestored = await make(script, load);
    return isRestored;
  } finally {
    if (!isRestored) {
      leaveCgroups();
      new SharedCgroup(MAKERS_CGROUP).remove();
    }
  }
}

/**
 * Makes the snapshot of this program unless there is one, or another process is about to.
 * @param load has all of the program loaded.
 * @returns true in a restored process, which is told by process.argv what it is for.
 * @throws CaissonError CAISSON_E_HOST when what is restored does not work here; the system's error.
 */
async function make(script: string, load: () => Promise<void>): Promise<boolean> {
  const folder = snapshotFolder();
  makePrivateFolder(folder);
  const lock = openSync(folder, "r");
  const snapshot = join(folder, snapshotName(script));
  if (!flock(lock, constants.LOCK_EX | constants.LOCK_NB) || existsSync(snapshot) || hasFailed(script)) return false;
  removeOthers(folder);
  const unfinished = join(folder, `.${process.pid}`);
  await load();
  freeMemory();
  sweep();
  // What V8 has put off would be done by each restored process.
  await delay(SETTLING_MS);
  // Node.js keeps the name of the working directory until it changes.
  process.chdir("/");
  let restored: Restored | undefined;
  try {
    restored = dump(unfinished, FIRST_DESCRIPTOR);
    if (restored === undefined) {
      await requireTrial(unfinished, script);
      renameSync(unfinished, snapshot);
      return false;
    }
  } catch (error) {
    rmSync(unfinished, { force: true });
    // A full file system will have room again.
    if (!isSystemError(error) || error.code === "EBUSY") writeFileSync(snapshot + FAILED, "");
    throw error;
  }
  closeSync(lock);
  beginRestored(restored);
  return true;
}

/**
 * V8 sweeps what it has collected once it needs room, or is asked for all objects of a kind: each restored process would, in copies of its
 * own.
 */
function sweep(): void {
  const { emitWarning } = process;
  // That the function is experimental.
  process.emitWarning = () => {};
  queryObjects(class {});
  process.emitWarning = emitWarning;
}

/** @throws CaissonError CAISSON_E_HOST when no trial does what it should. */
async function requireTrial(snapshot: string, script: string): Promise<void> {
  let end: ProcessEnd | undefined;
  for (let trial = 0; trial < TRIALS; trial++) {
    end = await trySnapshot(snapshot, script);
    if (end !== undefined && "exitCode" in end && end.exitCode === TRIED) return;
  }
  const how = end === undefined ? "has not ended" : `has ended with ${JSON.stringify(end)}`;
  const sentence = `what is restored from a snapshot does not work on this host: its trial ${how}`;
  throw new CaissonError("CAISSON_E_HOST", sentence);
}

/** @returns how it ended; undefined when it did not, and was killed. */
async function trySnapshot(snapshot: string, script: string): Promise<ProcessEnd | undefined> {
  const pid = spawnProgram([builtFile("restore"), snapshot, NOT_RESTORED, script, TRIAL], [0, 1, 2]);
  for (const end = now() + TRIAL_LIMIT_MS; now() < end; await delay(TRIAL_POLL_MS)) {
    const ended = reapIfEnded(pid);
    if (ended !== undefined) return ended;
  }
  process.kill(pid, "SIGKILL");
  return undefined;
}

/** What killed makers have left, and the oldest snapshots. */
function removeOthers(folder: string): void {
  const paths = readdirSync(folder).map((name) => join(folder, name));
  const isUnfinished = (path: string) => basename(path).startsWith(".");
  const age = (path: string) => Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  const whole = paths.filter((path) => !isUnfinished(path)).map((path) => ({ path, age: age(path) }));
  const oldest = whole.sort((a, b) => a.age - b.age).slice(OTHERS);
  for (const path of [...paths.filter(isUnfinished), ...oldest.map(({ path }) => path)]) rmSync(path, { force: true });
}
