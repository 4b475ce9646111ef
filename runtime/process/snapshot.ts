/** Processes of ours that begin where another one was written to a file (docs/design/processes.md), in place of Node.js's start. */
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

/** Where that file is, on a tmpfs: it is of no use after a boot. native/start-node.h has the same. */
export const SNAPSHOT_FOLDERS = ["/run/caisson-vm/snapshots", "/dev/shm/caisson-vm/snapshots"];

const SECOND_NS = 1_000_000_000n;

/** The name of the snapshot for a program's file. */
export function snapshotName(script: string): string {
  const { ino, mtimeNs } = statSync(script, { bigint: true });
  return `${ino}-${mtimeNs / SECOND_NS}-${String(mtimeNs % SECOND_NS).padStart(9, "0")}`;
}

export function findSnapshot(script: string): string | undefined {
  const name = snapshotName(script);
  return SNAPSHOT_FOLDERS.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** Beside a snapshot's place: what was made did not work on this host. */
export const FAILED = ".failed";

export function hasFailed(script: string): boolean {
  const name = snapshotName(script) + FAILED;
  return SNAPSHOT_FOLDERS.some((folder) => existsSync(join(folder, name)));
}

/**
 * The words that start such a process, which go on with those given if it cannot be restored.
 * @param words the program, its flags, the script and what follows, as Node.js is started.
 */
export function restoring(script: string, words: readonly string[]): readonly string[] {
  const snapshot = findSnapshot(script);
  return snapshot === undefined ? words : [join(dirname(script), "native", "restore"), snapshot, ...words];
}

/** Each bundle has this module for itself. */
const RESTORED = Symbol.for("caisson.restored");

/** Says of this process that it was restored just now. */
export function markRestored(): void {
  Object.assign(globalThis, { [RESTORED]: process.getBuiltinModule("node:v8").getHeapStatistics().total_heap_size });
}

/** How large V8's heap was when this process was restored, bytes; 0 when it was not. */
export function restoredHeapBytes(): number {
  return (globalThis as { [RESTORED]?: number })[RESTORED] ?? 0;
}
