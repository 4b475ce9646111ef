/** Containers whose state record is damaged beyond use: what the kernel still knows of their daemons. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CaissonError } from "../../protocol/errors.ts";
import { cgroupMounts } from "../cgroup/cgroup.ts";
import { readOptional, removeEmpty, subfolders } from "../cgroup/folder.ts";
import { unfreeze } from "../cgroup/freezer.ts";
import { shutDown } from "../control/shut-down.ts";
import { now } from "../process/clock.ts";
import { mountsBelow } from "../state/mounts-below.ts";
import { statePaths } from "../state/paths.ts";
import { isAlive, type ProcessIdentity, processIdentity } from "../state/process-identity.ts";
import { removeState } from "../state/store.ts";
import { log } from "../text/log.ts";

const KILL_LIMIT_MS = 5000;
const POLL_MS = 5;

/**
 * Ends the daemon and QEMU of a container that has no record to go by, and removes what they had: the daemon is found by its
 * socket, and both by what they have mounted below the state directory, which no other process sees.
 * @throws CaissonError naming what is left, when something is.
 */
export async function removeWithoutRecord(root: string, id: string): Promise<void> {
  const { directory } = statePaths(root, id);
  const holders = holdersOf(directory);
  const folders = cgroupFoldersOf(holders);
  for (const { pid } of holders) unfreeze(pid);
  await shutDown(directory);
  if (!(await areGone(holders, KILL_LIMIT_MS))) {
    for (const holder of holders.filter(isAlive)) process.kill(holder.pid, "SIGKILL");
    await areGone(holders, KILL_LIMIT_MS);
  }
  const left = holders.find(isAlive);
  if (left !== undefined) {
    throw new CaissonError("CAISSON_E_HOST", `process ${left.pid} of container ${id} does not die`, {
      remedy: "It waits in the kernel: look at /proc/<pid>/stack and dmesg.",
    });
  }
  const busy = await remaining(folders);
  removeState(root, id);
  if (busy !== undefined) {
    throw new CaissonError("CAISSON_E_CGROUP", `the cgroup ${busy} of container ${id} is still in use`, {
      remedy: "Look in its cgroup.procs for what uses it, and remove it by hand.",
    });
  }
  log.warning(
    `container ${id} is removed without its record, which is damaged: its poststop hooks have not run, and what a killed sandbox changed in a network namespace is as it was left`,
  );
}

/**
 * The processes that have something mounted below the directory, unless this one sees it, too. A daemon's main thread stands
 * for its container elsewhere (storage/mount-namespace.ts): its others are where its mounts are.
 */
function holdersOf(directory: string): ProcessIdentity[] {
  if (mountsBelow(directory).length > 0) return [];
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    const holds = subfolders(`/proc/${name}/task`).some(
      (thread) => mountsBelow(directory, readOptional(join(thread, "mountinfo"))).length > 0,
    );
    return (holds ? processIdentity(Number(name)) : undefined) ?? [];
  });
}

/** The cgroups that a daemon and its QEMU are in: the container's own, but for those that this process is in as well. */
function cgroupFoldersOf(processes: readonly ProcessIdentity[]): string[] {
  const mounts = cgroupMounts();
  const shared = new Set(["/", ...cgroupPathsOf("self")]);
  const paths = processes.flatMap(({ pid }) => cgroupPathsOf(pid)).filter((path) => !shared.has(path));
  return [...new Set(paths)].flatMap((path) => mounts.map(({ directory }) => join(directory, path)));
}

/** The text has a line for each hierarchy: `0::/system.slice/x.scope` (cgroups(7)). */
function cgroupPathsOf(pid: number | "self"): string[] {
  const lines = readOptional(`/proc/${pid}/cgroup`).split("\n");
  return lines.map((line) => line.split(":").slice(2).join(":")).filter((path) => path !== "");
}

async function areGone(processes: readonly ProcessIdentity[], limitMs: number): Promise<boolean> {
  for (const end = now() + limitMs; now() < end; await delay(POLL_MS)) if (!processes.some(isAlive)) return true;
  return !processes.some(isAlive);
}

/** Removes the folders that are empty, once they are. @returns one that has processes all the time. */
async function remaining(folders: readonly string[]): Promise<string | undefined> {
  let busy: string | undefined;
  for (const end = now() + KILL_LIMIT_MS; now() < end; await delay(POLL_MS)) {
    busy = folders.find((folder) => !removeEmpty(folder));
    if (busy === undefined) return undefined;
  }
  return busy;
}
