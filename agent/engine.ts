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
  // One vCPU: helper threads only add switches.
  "--single-threaded-gc",
  "--expose-gc",
  // No collections because little is going on: ten seconds old, each clone would work for half a second, and write to pages
  // that it shares with the others. (--no-memory-reducer would come too late.)
  "--memory-reducer-gc-count=0",
];
for (const flag of FLAGS) setFlagsFromString(flag);

/** Collects all garbage, so that a clone of this guest has none to collect while it starts. The flag shows in new contexts only. */
export const collectGarbage = runInNewContext("gc") as () => void;
