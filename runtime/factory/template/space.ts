import { lstatSync, mkdirSync, statfsSync } from "node:fs";
import { CaissonError } from "../../../protocol/errors.ts";
import { otherThanHostRoot } from "../../process/host-root.ts";
import { memoryFolder } from "../../process/memory-folder.ts";

const MIB = 1024 * 1024;
/** Device state, manifest and console of a template, at most. */
const BESIDE_MEMORY_MIB = 8;

/** Where templates go unless configured. */
export function defaultTemplateDirectory(): string {
  return `${memoryFolder()}/templates`;
}

/**
 * Makes a folder that only its owner, we, can enter: /dev/shm is open to everyone, and who can write a template owns the
 * sandboxes made of it.
 * @throws CAISSON_E_TEMPLATE when it, or the folder above it, is another's, or open to others.
 */
export function makePrivateFolder(directory: string): void {
  const above = directory.slice(0, directory.lastIndexOf("/"));
  for (const path of [above, directory]) {
    try {
      mkdirSync(path, { mode: 0o700, recursive: path === above });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST")
        throw unusable(path, (error as Error).message, { cause: error });
    }
    const stats = lstatSync(path);
    if (!stats.isDirectory()) throw unusable(path, "it is not a folder");
    if (stats.uid !== process.geteuid?.()) {
      throw unusable(path, `it belongs to user ${stats.uid}`, {
        remedy: otherThanHostRoot() && "Run as the host's root.",
      });
    }
    if ((stats.mode & 0o022) !== 0) throw unusable(path, "others may write to it");
  }
}

/** Bytes that one more template of this size may need, at the most: all of the guest's RAM touched. */
export function templateBytes(memoryMib: number): number {
  return (memoryMib + BESIDE_MEMORY_MIB) * MIB;
}

/**
 * How many bytes must be freed among the templates, which use `usedBytes`, before `neededBytes` more fit: into `share` of the
 * file system, and into what is free on it. Infinity when they never do.
 */
export function bytesToFree(directory: string, share: number, usedBytes: number, neededBytes: number): number {
  const { blocks, bavail, bsize } = statfsSync(directory);
  return excess({ allowed: blocks * bsize * share, free: bavail * bsize, usedBytes, neededBytes });
}

export function excess(of: { allowed: number; free: number; usedBytes: number; neededBytes: number }): number {
  const { allowed, free, usedBytes, neededBytes } = of;
  const missing = Math.max(0, usedBytes + neededBytes - allowed, neededBytes - free);
  return missing > usedBytes ? Number.POSITIVE_INFINITY : missing;
}

function unusable(
  path: string,
  why: string,
  {
    cause,
    remedy = "Remove it, or configure another folder for templates.",
  }: { cause?: unknown; remedy?: string | undefined } = {},
): CaissonError {
  return new CaissonError("CAISSON_E_TEMPLATE", `cannot keep templates in ${path}: ${why}`, { cause, remedy });
}
