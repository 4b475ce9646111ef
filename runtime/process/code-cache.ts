/**
 * Loads a part of the program with the form that V8 has compiled it to, which is kept beside it (scripts/compile.sh). Node's
 * own compile cache holds only what is compiled while a file loads; this one also holds the functions that have run.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { Script } from "node:vm";
import { mapText } from "../../native/posix/index.ts";

/** Set while the program is being built: what a process has compiled when it ends is kept, with what others had. */
export const COMPILING = "CAISSON_COMPILING";

/** Where it is kept. V8 tells a changed source by its length alone, so one is never left beside a bundle that it is not of. */
export function compiledForm(path: string): string {
  return `${path}.compiled`;
}

/** @returns what a bundle of the program, an absolute path to a CommonJS file, exports. */
export function loadCompiled(path: string): unknown {
  const compiled = compiledForm(path);
  // The bundles are ASCII (esbuild's default). A copy of a daemon's would be 1 MiB of each daemon.
  const source = mapText(path, "(function (exports, require, module, __filename, __dirname) { ", "\n})");
  const script = new Script(source, { filename: path, cachedData: readIfThere(compiled) });
  if (process.env[COMPILING] !== undefined) process.once("exit", () => keep(script, compiled));
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(path), module, path, dirname(path));
  return module.exports;
}

/** The compiled form, if there is one; V8 takes nothing that another version of Node.js has compiled. */
function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

function keep(script: Script, path: string): void {
  const own = `${path}.${process.pid}`;
  writeFileSync(own, script.createCachedData());
  renameSync(own, path);
}
