import { renameSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { CaissonError } from "../../protocol/errors.ts";
import { discardUnfinished } from "./discard-unfinished.ts";
import { systemErrorSentence } from "./errors.ts";

/**
 * Writes the pid, so that a reader sees the whole of it or no file.
 * @throws CaissonError CAISSON_E_HOST when the file cannot be written.
 */
export function writePidFile(path: string, pid: number): void {
  const absolute = resolve(path);
  const unfinished = join(dirname(absolute), `.${basename(absolute)}.${process.pid}`);
  try {
    writeFileSync(unfinished, String(pid), { flag: "wx" });
    renameSync(unfinished, absolute);
  } catch (cause) {
    discardUnfinished(unfinished);
    throw new CaissonError("CAISSON_E_HOST", systemErrorSentence(`write the pid file ${absolute}`, cause), { cause });
  }
}
