import { lstatSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { basename } from "node:path";

/** Deeper and longer than what a driver makes below its device; sysfs is the kernel's, the device behind it may be anything. */
const MOST_LEVELS = 10;
const MOST_FOLDERS = 4096;

/** A device node that a driver has made. */
export interface DeviceNode {
  /** In the guest's /dev, absolute. */
  path: string;
  type: "b" | "c";
  major: number;
  minor: number;
}

/** The nodes of all devices below a folder of sysfs, in the order of their paths. */
export function nodesBelow(folder: string): DeviceNode[] {
  const nodes: DeviceNode[] = [];
  const waiting = [{ path: folder, level: 0 }];
  for (let seen = 0; seen < MOST_FOLDERS; seen++) {
    const next = waiting.shift();
    if (next === undefined) break;
    const names = namesIn(next.path);
    if (names.includes("dev") && names.includes("uevent")) nodes.push(...nodeAt(next.path));
    if (next.level === MOST_LEVELS) continue;
    for (const name of names) {
      const path = `${next.path}/${name}`;
      if (isFolder(path)) waiting.push({ path, level: next.level + 1 });
    }
  }
  return nodes.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** One that goes meanwhile is none. */
function nodeAt(folder: string): DeviceNode[] {
  try {
    const [major, minor] = readFileSync(`${folder}/dev`, "latin1").trim().split(":").map(Number);
    const name = /^DEVNAME=(.+)$/m.exec(readFileSync(`${folder}/uevent`, "latin1"))?.[1];
    if (major === undefined || minor === undefined || name === undefined) return [];
    const isBlock = basename(realpathSync(`${folder}/subsystem`)) === "block";
    return [{ path: `/dev/${name}`, type: isBlock ? "b" : "c", major, minor }];
  } catch {
    return [];
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Links lead to devices elsewhere, and back up. */
function isFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
