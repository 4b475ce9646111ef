/** All of the host's program: the sandbox daemon, the holder of a VM that stands by, and the command line for the verbs that start VMs themselves. */
import type { DaemonLog } from "./control/spawn.ts";
import type { StandbyParams } from "./sandbox/standby/spawn.ts";

export async function runDaemon(log: DaemonLog): Promise<never> {
  const daemon = await import("./control/daemon.ts");
  return await daemon.runDaemon(log);
}

export async function holdStandby(params: StandbyParams): Promise<never> {
  const standby = await import("./sandbox/standby/hold.ts");
  return await standby.holdStandby(params);
}

export async function main(word: string, args: readonly string[]): Promise<void> {
  const cli = await import("./cli/main.ts");
  await cli.main(word, args);
}
