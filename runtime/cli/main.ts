import { writeSync } from "node:fs";
import { endInWords } from "../process/last-words.ts";
import { tracePhase, traceTo } from "../process/trace.ts";
import { codeOf, formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import { EXEC_MONITOR_WORD } from "./exec-monitor-word.ts";
import { runProgram } from "./program.ts";

const STDERR = 2;

/** Runs what the command line asks for and sets this process's exit code; `word` is the name it was called by. */
export async function main(word: string, args: readonly string[]): Promise<void> {
  endInWords({ exitCode: 1 });
  try {
    if (word === EXEC_MONITOR_WORD) {
      const { runExecMonitor } = await import("./exec-monitor.ts");
      process.exitCode = await runExecMonitor(JSON.parse(args[0] ?? ""));
      return;
    }
    await runProgram(args, async (globals) => {
      log.start(globals);
      await traceTo(globals.trace, "caisson", true);
      tracePhase("caisson: load", 0);
    });
  } catch (error) {
    report(error);
    process.exitCode ??= 1;
  }
}

/** Once to the log, and to standard error in any case. */
function report(error: unknown): void {
  const message = formatError(error);
  log.error(message, { code: codeOf(error) });
  if (!log.isStderr) writeSync(STDERR, `${message}\n`);
}
