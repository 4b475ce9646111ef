/** How a verb begins and ends, whichever way it was found. */
import { writeSync } from "node:fs";
import type { GlobalSettings } from "../control/plain-command.ts";
import { endInWords } from "../process/last-words.ts";
import { tracePhase, traceTo } from "../process/trace.ts";
import { codeOf, formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import { VERSION } from "./version.ts";

const STDERR = 2;

/** Begins the log and the trace of a verb, with what the log of any has first. */
export async function begin(globals: GlobalSettings, verb: string): Promise<void> {
  log.start(globals);
  await traceTo(globals.trace, "caisson", true);
  tracePhase("caisson: load", 0);
  // Not the arguments: they may set variables.
  log.debug(`caisson ${verb}`, { version: VERSION, root: globals.root, node: process.version });
}

/** Runs what a verb does; an error is told, and becomes this process's exit code. */
export async function reporting(run: () => Promise<void>): Promise<void> {
  endInWords({ exitCode: 1 });
  try {
    await run();
  } catch (error) {
    report(error);
    process.exitCode ??= 1;
    const { countFailure } = await import("../metrics/totals.ts");
    countFailure(codeOf(error));
  }
}

/** Once to the log, and to standard error in any case. */
function report(error: unknown): void {
  const message = formatError(error);
  log.error(message, { code: codeOf(error) });
  if (!log.isStderr) writeSync(STDERR, `${message}\n`);
}
