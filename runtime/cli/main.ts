import type { EarlyDaemon } from "../control/early-daemon.ts";
import type { ExecMonitorTask } from "./exec-monitor.ts";
import { runProgram } from "./program.ts";
import { reporting } from "./reporting.ts";

/** Runs what the command line asks for and sets this process's exit code. @param daemon one that has been started for it. */
export async function main(args: readonly string[], daemon?: EarlyDaemon): Promise<void> {
  await reporting(() => runProgram(args, daemon));
}

/** Goes on for native/launch where that cannot (take-up.ts). @param daemon the one that has answered it. */
export async function goOn(answer: string, args: readonly string[], daemon?: EarlyDaemon): Promise<void> {
  await reporting(async () => {
    const { takeUp } = await import("./take-up.ts");
    await takeUp(answer, args, daemon);
  });
}

/** Follows an exec as its monitor; this process ends as the exec's does. */
export async function runExecMonitor(task: ExecMonitorTask): Promise<void> {
  await reporting(async () => {
    const { followExec } = await import("./exec-monitor.ts");
    process.exitCode = await followExec(task);
  });
}
