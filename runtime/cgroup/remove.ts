/** What is left of a sandbox's cgroup when the sandbox has ended. */
import { closeSync, constants, openSync } from "node:fs";
import { dirname, join } from "node:path";
import { flock, constants as posix } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { now } from "../process/clock.ts";
import { delay } from "../process/delay.ts";
import type { CgroupFolder } from "../state/record.ts";
import { type CgroupMount, cgroupMounts } from "./cgroup.ts";
import { inodeOf, processesBelow, processesIn, removeEmpty, removeTree, subfolders } from "./folder.ts";
import { unfreeze } from "./freezer.ts";

const LIMIT_MS = 5000;
const POLL_MS = 5;
/**
 * A process that was killed counts as ended when its main thread has; its other threads may hold its descriptors for longer, which on a
 * busy host may be seconds.
 */
const LOCK_LIMIT_MS = 5000;

/**
 * Ends what is left in a cgroup that was ours, and removes it with the empty cgroups below it. One that was made anew since, or
 * that another sandbox has taken, is left alone, and so is what only was to be made and is in use.
 * @param created whether the container came to be: else a cgroup that was there before it stays.
 * @throws CaissonError CAISSON_E_CGROUP when it is still in use after a while, saying by what.
 */
export async function removeCgroup(folders: readonly CgroupFolder[], created: boolean): Promise<void> {
  const ours = folders.filter(({ path, inode }) => inode !== undefined && inodeOf(path) === inode);
  const planned = folders.filter(({ inode }) => inode === undefined).map(({ path }) => path);
  const lock = ours.length === 0 ? undefined : await lockOf(folders[0]?.path ?? "");
  if (lock === "another's") return;
  try {
    removePlanned(planned);
    const own = ours.map(({ path }) => path);
    const removed = ours.filter(({ made }) => made || created).map(({ path }) => path);
    for (const end = now() + LIMIT_MS; now() < end; await delay(POLL_MS)) {
      const left = own.flatMap(processesIn);
      // The kernel lets go of a cgroup only some time after its last process has ended.
      if (removeFolders(removed) && (left.length === 0 || removed.length === own.length)) return;
      // Others do not go by themselves.
      if (left.length === 0 && removed.flatMap(subfolders).flatMap(processesBelow).length > 0) break;
      endProcesses(left);
    }
    throw inUse(removed);
  } finally {
    if (lock !== undefined) closeSync(lock);
  }
}

/** Removes them, the first, which has the lock, at last, and `/caisson` above them. @returns false when one is in use. */
export function removeFolders(folders: readonly string[], mounts: readonly CgroupMount[] = cgroupMounts()): boolean {
  const gone = folders.toReversed().map(removeTree);
  const parents = new Set(mounts.map(({ directory }) => join(directory, "caisson")));
  for (const parent of folders.map(dirname)) if (parents.has(parent)) removeEmpty(parent);
  return gone.every((each) => each);
}

/** Kills processes of ours; those that a freezer holds are let go first. */
export function endProcesses(pids: readonly number[]): void {
  for (const pid of new Set(pids)) {
    if (pid === process.pid || pid === 0) continue;
    unfreeze(pid);
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // Gone.
    }
  }
}

/** Whoever was to make them was killed before they could be used. */
function removePlanned(folders: readonly string[]): void {
  for (const folder of folders.toReversed()) removeEmpty(folder);
}

/** What OwnCgroup locks. Another sandbox that has it by now took it when it was empty: nothing in it is ours any more. */
async function lockOf(path: string): Promise<number | "another's" | undefined> {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch {
    return undefined;
  }
  for (const end = now() + LOCK_LIMIT_MS; ; await delay(POLL_MS)) {
    if (flock(fd, posix.LOCK_EX | posix.LOCK_NB)) return fd;
    if (now() >= end) break;
  }
  closeSync(fd);
  return "another's";
}

function inUse(folders: readonly string[]): CaissonError {
  const busy = folders.find((folder) => processesBelow(folder).length > 0) ?? folders.find((each) => inodeOf(each));
  const [pid] = busy === undefined ? [] : processesBelow(busy);
  const by = pid === undefined ? "" : ` by process ${pid}, which is not the container's`;
  return new CaissonError("CAISSON_E_CGROUP", `the cgroup ${busy} cannot be removed: it is still in use${by}`, {
    remedy: "Move what is in the cgroups below it elsewhere, or end it; then delete the container again.",
  });
}
