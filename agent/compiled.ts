/**
 * How V8 runs the agent, and its compiled form, which the image has beside it (scripts/compile-agent.ts). A clone's emulated CPU starts
 * with an empty translation cache: what costs a start is the amount of distinct machine code that it runs through, once each. The interpreter's
 * handlers are few and shared by all functions, where compiled code is of its own for each, so only what runs for long is compiled. A parser
 * is no part of that code at all, when all functions come as bytecode.
 */
import { Script } from "node:vm";

export const V8_FLAGS = [
  "--no-sparkplug",
  "--no-maglev",
  // Inline caches from a function's first call on, instead of after several, so that few rounds warm them.
  "--no-lazy-feedback-allocation",
  // What a collection finds unused for a while would have to be compiled again.
  "--no-flush-bytecode",
  // The guest has one vCPU, where helper threads only add switches.
  "--single-threaded-gc",
  // No collections because little is going on: ten seconds old, each clone would work for half a second, and write to pages
  // that it shares with the others. (--no-memory-reducer would come too late.)
  "--memory-reducer-gc-count=0",
];

/** The agent itself, in the folder of the agent's first file. */
export const MAIN = "agent-main.cjs";

/** Where its compiled form is. */
export function compiledForm(path: string): string {
  return `${path}.compiled`;
}

/** The agent as a function of what a CommonJS module gets. V8 takes the form only with the flags, and the source, that it was made with. */
export function agentScript(source: string, path: string, compiled?: Buffer): Script {
  const text = `(function (exports, require, module, __filename, __dirname) { ${source}\n})`;
  return new Script(text, { filename: path, cachedData: compiled });
}
