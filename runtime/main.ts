/** The one program: `node caisson.cjs <name it was called by> arguments...`; see scripts/launcher.sh. */
import { writeSync } from "node:fs";
import { KEEPER_WORD } from "./cli/keeper-word.ts";
import { DAEMON_WORD } from "./control/spawn.ts";
import { formatError } from "./errors.ts";
import { log } from "./log.ts";
import { tracePhase, traceTo } from "./trace.ts";

const STDERR = 2;

async function main([word = "", ...args]: readonly string[]): Promise<void> {
  if (word === DAEMON_WORD) {
    const { runDaemon } = await import("./control/daemon.ts");
    return await runDaemon(JSON.parse(args[0] ?? ""));
  }
  if (word === KEEPER_WORD) {
    const { runKeeper } = await import("./cli/keeper.ts");
    process.exitCode = await runKeeper(JSON.parse(args[0] ?? ""));
    return;
  }
  const { runProgram } = await import("./cli/program.ts");
  await runProgram(args, (globals) => {
    log.start(globals);
    traceTo(globals.trace, "caisson");
    tracePhase("caisson: load", 0);
  });
}

/** Once to the log, and to standard error in any case. */
function report(error: unknown): void {
  const message = formatError(error);
  log.error(message);
  if (!log.isStderr) writeSync(STDERR, `${message}\n`);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  report(error);
  process.exitCode ??= 1;
});
