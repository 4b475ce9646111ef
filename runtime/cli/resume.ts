import type { Command } from "commander";
import { type Globals, verb } from "./command.ts";
import { withDaemon } from "./daemon.ts";

const NOT_PAUSED = "container not paused";
const FORBIDDEN = { created: NOT_PAUSED, running: NOT_PAUSED, stopped: NOT_PAUSED };

export function command(globals: Globals): Command {
  return verb("resume", "Thaws all processes of a paused container.")
    .argument("<container-id>")
    .action(async (id: string) => {
      await withDaemon(globals, id, FORBIDDEN, (client) => client.request("resume", {}));
    });
}
