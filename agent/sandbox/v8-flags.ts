/**
 * How V8 runs the agent. A clone's emulated CPU starts with an empty translation cache: what costs a start is the amount of
 * distinct machine code that it runs through, once each. The interpreter's handlers are few and shared by all functions,
 * where compiled code is of its own for each, so only what runs for long is compiled. Imported before all else.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const FLAGS = [
  "--no-sparkplug",
  "--no-maglev",
  // Inline caches from a function's first call on, instead of after several, so that few rounds warm them.
  "--no-lazy-feedback-allocation",
  // What a collection finds unused for a while would have to be compiled again.
  "--no-flush-bytecode",
  // The guest has one vCPU, where helper threads only add switches.
  "--single-threaded-gc",
  "--expose-gc",
  // No collections because little is going on: ten seconds old, each clone would work for half a second, and write to pages
  // that it shares with the others. (--no-memory-reducer would come too late.)
  "--memory-reducer-gc-count=0",
];

// What the agent uses of Node's own modules is loaded before the flags are set: with other flags than it was made with, V8
// refuses the compiled form that Node has of them, and compiles their source, which took an emulated guest three seconds.
for (const name of ["http2", "child_process", "timers/promises", "zlib"]) process.getBuiltinModule(name);
for (const flag of FLAGS) setFlagsFromString(flag);

const gc = runInNewContext("gc") as (options?: { type: "minor" }) => void;

/** After so many collections nothing of the boot is left. */
const WHOLE_COLLECTIONS = 3;
let collections = 0;

/**
 * Collects garbage, so that a clone of this guest has little to collect while it starts: at first all, then only what is
 * young. Collecting all of it takes the hidden classes along of which no object is left, and what inline caches know of
 * them: a clone would learn it again in V8's slow paths. (The function shows in new contexts only.)
 */
export function collectGarbage(): void {
  collections += 1;
  if (collections <= WHOLE_COLLECTIONS) {
    gc();
    return;
  }
  // What survives two of them is not young any more.
  gc({ type: "minor" });
  gc({ type: "minor" });
}
