import { readFileSync, realpathSync } from "node:fs";
import { basename } from "node:path";
import { foldersBelow } from "./sysfs.ts";

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
  return foldersBelow(folder)
    .filter(({ names }) => names.includes("dev") && names.includes("uevent"))
    .flatMap(({ path }) => nodeAt(path))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
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
