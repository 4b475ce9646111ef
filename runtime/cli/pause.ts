import type { Command } from "commander";
import { type Globals, verb } from "./command.ts";
import { withDaemon } from "./daemon.ts";

export function command(globals: Globals): Command {
  return verb("pause", "Freezes all processes of a running container.")
    .argument("<container-id>")
    .action(async (id: string) => {
      await withDaemon(globals, id, "pause", (client) => client.request("pause", {}));
    });
}
