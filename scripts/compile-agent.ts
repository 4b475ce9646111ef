/**
 * Has V8 compile all functions of the agent, for the guest's image: node --hash-seed=1 compile-agent.ts FOLDER. The bytes follow from the
 * source and from Node's version: V8 has no random number in them, since its seed is given, and no address.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { agentScript, compiledForm, MAIN, V8_FLAGS } from "../agent/compiled.ts";

const [folder = ""] = process.argv.slice(2);
if (!process.execArgv.includes("--hash-seed=1")) throw new Error("run it with node --hash-seed=1");
const path = `${folder}/${MAIN}`;
for (const flag of [...V8_FLAGS, "--no-lazy"]) setFlagsFromString(flag);
const script = agentScript(readFileSync(path, "latin1"), MAIN);
// V8 compares the flags that are set now with those of whoever takes it.
for (const flag of ["--lazy", "--hash-seed=0"]) setFlagsFromString(flag);
const compiled = script.createCachedData();
if (agentScript(readFileSync(path, "latin1"), MAIN, compiled).cachedDataRejected)
  throw new Error("V8 refuses its own form");
writeFileSync(compiledForm(path), compiled);
