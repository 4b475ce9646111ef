/** What a daemon's start has used and nobody needs any more: sources, compiled forms, V8's room for young objects. */
import { trimMemory } from "../../native/posix/index.ts";
import { restoredHeapBytes } from "./snapshot.ts";

/** By then a container's start is over, and one that was to end at once has. */
const LATER_MS = 5000;
/** What is worth 20 ms of a processor. */
const WORTH_BYTES = 3 * 1024 * 1024;

/** Not loaded before it is needed: a start would take a millisecond longer. */
const v8 = () => process.getBuiltinModule("node:v8");

type Collect = (options: { type: "major"; flavor: "last-resort" }) => void;

let isWaiting = false;
let bytesLeft = 0;

/** Frees memory in a while, if that has become worth it; to be called for whatever uses some. */
export function freeMemoryLater(): void {
  if (isWaiting) return;
  isWaiting = true;
  const timer = setTimeout(() => {
    isWaiting = false;
    const grown = v8().getHeapStatistics().total_heap_size - Math.max(bytesLeft, restoredHeapBytes());
    if (grown >= WORTH_BYTES) freeMemory();
  }, LATER_MS);
  timer.unref();
}

/**
 * Collects all garbage and gives what was freed back to the system. Left to itself V8 keeps it for as long as a process does little. What
 * has been compiled stays, or the next request would wait for that.
 */
export function freeMemory(): void {
  const { getHeapStatistics, setFlagsFromString } = v8();
  const { runInNewContext } = process.getBuiltinModule("node:vm");
  setFlagsFromString("--no-flush-bytecode");
  setFlagsFromString("--expose-gc");
  // The function shows in new contexts only.
  const collect = runInNewContext("gc") as Collect;
  collect({ type: "major", flavor: "last-resort" });
  // With other flags than Node's own modules were compiled with, one that is loaded later would be compiled anew.
  setFlagsFromString("--no-expose-gc");
  setFlagsFromString("--flush-bytecode");
  trimMemory();
  bytesLeft = getHeapStatistics().total_heap_size;
}
