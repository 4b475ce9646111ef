import type { Command } from "commander";
import { now } from "../process/clock.ts";
import { tracePhase } from "../process/trace.ts";
import { exitCodeOf } from "../text/errors.ts";
import { checkTerminal } from "./caller.ts";
import type { Globals } from "./command.ts";
import { followRun } from "./follow-run.ts";
import { Foreground } from "./foreground.ts";
import { checkFlags, createContainer, discard, type LaunchFlags, launchVerb } from "./launch.ts";
import { OwnTerminal } from "./terminal.ts";
import { readWantsTerminal } from "./wants-terminal.ts";

interface RunFlags extends LaunchFlags {
  detach?: boolean;
  keep?: boolean;
}

export function command(globals: Globals): Command {
  return launchVerb("run", "Creates a container, starts it and waits for its end, whose exit status it returns.")
    .option("-d, --detach", "leave it running in the background")
    .option("--keep", "do not remove the container when it has ended")
    .option("--no-subreaper", "always so: no process of the container is one of the host's")
    .action(async (id: string, flags: RunFlags) => {
      checkFlags(flags);
      try {
        process.exitCode = await run(globals, id, flags);
      } catch (error) {
        process.exitCode ??= exitCodeOf(error);
        throw error;
      }
    });
}

async function run(globals: Globals, id: string, flags: RunFlags): Promise<number> {
  const detach = flags.detach === true;
  const wantsTerminal = readWantsTerminal(flags.bundle);
  checkTerminal(wantsTerminal, detach, flags.consoleSocket);
  using foreground = new Foreground();
  using terminal = wantsTerminal && !detach ? new OwnTerminal() : undefined;
  const daemon = await createContainer(globals, id, flags, { name: "run", terminal, signal: foreground.interrupted });
  try {
    const start = now();
    foreground.interrupted.throwIfAborted();
    terminal?.makeRaw();
    await daemon.client.request("start", {});
    tracePhase("start", start);
  } catch (error) {
    await discard(globals, id, daemon);
    throw error;
  }
  if (detach) {
    await daemon.client.request("detach", {});
    daemon.client.close();
    daemon.unref();
    return 0;
  }
  return await followRun(globals, id, daemon, foreground, { terminal, keep: flags.keep });
}
