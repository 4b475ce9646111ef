/**
 * What V8 compiles of the agent. A guest that is booted or cloned interprets (compiled.ts). One that is to be forked has all that it runs through
 * compiled while it is warmed up: forks have the machine code, and the emulator's translation of it, and compile no more until something
 * runs for long.
 */
import { setFlagsFromString } from "node:v8";

/** In force from a function's next turn of NO_COMPILATION's count on. At once and on this thread, so that nothing is under way when the guest is forked. */
const ALL = [
  "--sparkplug",
  "--baseline-batch-compilation-threshold=1",
  "--maglev",
  "--invocation-count-for-maglev=8",
  "--minimum-invocations-before-optimization=2",
  "--minimum-invocations-after-ic-update=2",
  "--no-concurrent-recompilation",
  "--no-concurrent-sparkplug",
];

/** V8's own defaults, but for the compilers that are left out. */
const WHAT_RUNS_FOR_LONG = [
  "--no-sparkplug",
  "--no-maglev",
  "--turbofan",
  "--invocation-count-for-turbofan=3000",
  // When V8 looks again at a function that it has counted by NO_COMPILATION's.
  "--minimum-invocations-before-optimization=3000",
  "--minimum-invocations-after-ic-update=500",
  "--concurrent-recompilation",
];

/** Everything that is called some ten times from now on. */
export function compileAll(): void {
  for (const flag of ALL) setFlagsFromString(flag);
}

/** What has been compiled stays. */
export function compileWhatRunsForLong(): void {
  for (const flag of WHAT_RUNS_FOR_LONG) setFlagsFromString(flag);
}
