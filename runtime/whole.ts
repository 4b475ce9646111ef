/** All of the host's program: the sandbox daemon, and the command line for the verbs that start VMs themselves. */
import type { DaemonLog } from "./control/spawn.ts";

export async function runDaemon(log: DaemonLog): Promise<never> {
  const daemon = await import("./control/daemon.ts");
  return await daemon.runDaemon(log);
}

export async function main(word: string, args: readonly string[]): Promise<void> {
  const cli = await import("./cli/main.ts");
  await cli.main(word, args);
}
