/** Processes of ours that begin where another one was written to a file (docs/design/processes.md), in place of Node.js's start. */
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { memoryFolder } from "./memory-folder.ts";

/** Where such files are made, on a tmpfs: they are of no use after a boot. native/start-node.h looks wherever that can be. */
export function snapshotFolder(): string {
  return join(memoryFolder(), "snapshots");
}

const SECOND_NS = 1_000_000_000n;

/** The name of the snapshot for a program's file, which is another one below another root directory: so may be the libraries. */
export function snapshotName(script: string): string {
  const { dev, ino, mtimeNs } = statSync(script, { bigint: true });
  const root = statSync("/", { bigint: true });
  const written = `${mtimeNs / SECOND_NS}-${String(mtimeNs % SECOND_NS).padStart(9, "0")}`;
  return `${dev}-${ino}-${written}-${root.dev}-${root.ino}`;
}

export function findSnapshot(script: string): string | undefined {
  const path = join(snapshotFolder(), snapshotName(script));
  return existsSync(path) ? path : undefined;
}

/** Beside a snapshot's place: what was made did not work on this host. */
export const FAILED = ".failed";

export function hasFailed(script: string): boolean {
  return existsSync(join(snapshotFolder(), snapshotName(script) + FAILED));
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
