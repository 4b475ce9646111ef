import { lstatSync, readdirSync } from "node:fs";

/** Deeper and longer than what a driver makes below its device; sysfs is the kernel's, the device behind it may be anything. */
const MOST_LEVELS = 10;
const MOST_FOLDERS = 4096;

/** A folder of sysfs: a device, or what belongs to one. */
export interface SysfsFolder {
  path: string;
  /** Of what is in it. */
  names: readonly string[];
}

/** A folder of sysfs and those below it, the upper ones first. Links lead to devices elsewhere, and back up: they are not followed. */
export function foldersBelow(folder: string): SysfsFolder[] {
  const found: SysfsFolder[] = [];
  const waiting = [{ path: folder, level: 0 }];
  while (found.length < MOST_FOLDERS) {
    const next = waiting.shift();
    if (next === undefined) break;
    const { path, level } = next;
    const names = namesIn(path);
    found.push({ path, names });
    if (level === MOST_LEVELS) continue;
    for (const name of names)
      if (isFolder(`${path}/${name}`)) waiting.push({ path: `${path}/${name}`, level: level + 1 });
  }
  return found;
}

/** None of one that goes meanwhile. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
