/** The kernel's freezers: what is frozen neither runs nor, in one of cgroup v1, dies. */
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type CgroupMount, cgroupMounts } from "./cgroup.ts";
import { readOptional } from "./folder.ts";

/** Whether what is moved into the cgroup at `folder`, which may be made only then, is frozen at once. */
export function freezes({ kind, directory }: CgroupMount, folder: string): boolean {
  const isV1 = kind !== "v2";
  if (isV1 && !isFreezer(kind)) return false;
  for (let each = folder; each.length > directory.length; each = dirname(each)) {
    const text = readOptional(join(each, isV1 ? "freezer.state" : "cgroup.freeze"));
    if (isV1 ? /^FR/.test(text) : text.startsWith("1")) return true;
  }
  return false;
}

/**
 * Lets one of our processes go on, and die, that a freezer of cgroup v1 holds: it leaves the frozen cgroup for the
 * hierarchy's root, and what else is frozen there stays so. A freezer of v2 lets it die, and is left alone.
 */
export function unfreeze(pid: number, mounts = cgroupMounts()): void {
  const freezer = mounts.find(({ kind }) => isFreezer(kind));
  const path = /^\d+:(?:[^:]*,)?freezer(?:,[^:]*)?:(.*)$/m.exec(readOptional(`/proc/${pid}/cgroup`))?.[1];
  if (freezer === undefined || path === undefined || !freezes(freezer, join(freezer.directory, path))) return;
  try {
    writeFileSync(join(freezer.directory, "cgroup.procs"), String(pid));
  } catch {
    // The process has gone; or it is not ours to let go, and will not die.
  }
}

function isFreezer(kind: string): boolean {
  return kind.split(",").includes("freezer");
}
