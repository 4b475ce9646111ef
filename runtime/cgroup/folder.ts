/** Single folders of cgroup file systems, v1 or v2 (cgroups(7)). What is not there has no processes and is removed. */
import { closeSync, openSync, readdirSync, readFileSync, rmdirSync, statSync, write } from "node:fs";
import { join } from "node:path";

/** The pids in the cgroup itself; a process that its hierarchy's root cannot see counts as 0. */
export function processesIn(folder: string): number[] {
  const lines = readOptional(join(folder, "cgroup.procs")).split("\n");
  return lines.filter((line) => line !== "").map(Number);
}

/** The pids in the cgroup and in those below it. */
export function processesBelow(folder: string): number[] {
  return [...processesIn(folder), ...subfolders(folder).flatMap(processesBelow)];
}

/** The cgroups directly below it. */
export function subfolders(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(folder, name));
  } catch {
    return [];
  }
}

/**
 * Removes the cgroup with the empty ones below it, as runc does; one below it that has processes is somebody's, and stays as
 * it is.
 * @returns false when it is still in use.
 */
export function removeTree(folder: string): boolean {
  if (removeEmpty(folder)) return true;
  const below = subfolders(folder);
  if (below.length === 0) return false;
  for (const child of below) if (processesBelow(child).length === 0) removeTree(child);
  return removeEmpty(folder);
}

/** @returns false when it is still in use. */
export function removeEmpty(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    // ENODEV: it is being removed.
    return ["ENOENT", "ENOTDIR", "ENODEV"].includes((error as NodeJS.ErrnoException).code ?? "");
  }
}

/** What tells the cgroup from one that is made at its path later: the kernel never gives the number twice. */
export function inodeOf(folder: string): string | undefined {
  return statSync(folder, { bigint: true, throwIfNoEntry: false })?.ino.toString();
}

/** Moves a process into the cgroup while the caller goes on. Rejects with the system's error. */
export async function move(pid: number, folder: string): Promise<void> {
  const fd = openSync(join(folder, "cgroup.procs"), "w");
  await new Promise<void>((resolve, reject) => {
    write(fd, String(pid), (error) => {
      closeSync(fd);
      if (error === null) resolve();
      else reject(error);
    });
  });
}

/** The text of a cgroup's file; empty when there is none. */
export function readOptional(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
