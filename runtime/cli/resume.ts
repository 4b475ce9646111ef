import type { Command } from "commander";
import { type Globals, verb } from "./command.ts";
import { withDaemon } from "./daemon.ts";

export function command(globals: Globals): Command {
  return verb("resume", "Thaws all processes of a paused container.")
    .argument("<container-id>")
    .action(async (id: string) => {
      await withDaemon(globals, id, "resume", (client) => client.request("resume", {}));
    });
}
