/** The agent's first file in the guest: sets V8 up, and loads the agent (main.ts) in its compiled form. */
import { readdirSync, readFileSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { setFlagsFromString } from "node:v8";
import { agentScript, compiledForm, MAIN, V8_FLAGS } from "./compiled.ts";

// V8's other threads run when this one has nothing to do. While the modules below load, it has one of them compile a function of Node's with
// Maglev: 7,000 blocks of machine code for an emulator to translate, which no other function is to use.
for (const task of readdirSync("/proc/self/task").map(Number)) {
  if (task !== process.pid) setPriority(task, constants.priority.PRIORITY_LOW);
}

// What the agent uses of Node's own modules is loaded before the flags are set: with other flags than it was made with, V8
// refuses the compiled form that Node has of them, and compiles their source, which took an emulated guest three seconds.
for (const name of ["http2", "child_process", "fs/promises", "process", "timers/promises", "zlib"])
  process.getBuiltinModule(name);
for (const flag of V8_FLAGS) setFlagsFromString(flag);

const folder = import.meta.dirname;
const path = `${folder}/${MAIN}`;
const script = agentScript(readFileSync(path, "latin1"), path, readFileSync(compiledForm(path)));
const main = { exports: {} };
// All that a bundle requires is Node's own. Eighty of its `require`, which tells of each to whoever watches, had V8 optimize a function.
script.runInThisContext()(main.exports, process.getBuiltinModule, main, path, folder);
