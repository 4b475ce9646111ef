import { writeSync } from "node:fs";
import { endInWords } from "../process/last-words.ts";
import { tracePhase, traceTo } from "../process/trace.ts";
import { codeOf, formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import type { ExecMonitorTask } from "./exec-monitor.ts";
import { runProgram } from "./program.ts";

const STDERR = 2;

/** Runs what the command line asks for and sets this process's exit code. */
export async function main(args: readonly string[]): Promise<void> {
  await reporting(() =>
    runProgram(args, async (globals) => {
      log.start(globals);
      await traceTo(globals.trace, "caisson", true);
      tracePhase("caisson: load", 0);
    }),
  );
}

/** Follows an exec as its monitor; this process ends as the exec's does. */
export async function runExecMonitor(task: ExecMonitorTask): Promise<void> {
  await reporting(async () => {
    const { followExec } = await import("./exec-monitor.ts");
    process.exitCode = await followExec(task);
  });
}

async function reporting(run: () => Promise<void>): Promise<void> {
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
