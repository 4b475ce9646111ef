import type { Command } from "commander";
import { type Globals, verb } from "./command.ts";
import { withDaemon } from "./daemon.ts";

const FORBIDDEN = {
  created: "container not running",
  paused: "container already paused",
  stopped: "container not running",
};

export function command(globals: Globals): Command {
  return verb("pause", "Freezes all processes of a running container.")
    .argument("<container-id>")
    .action(async (id: string) => {
      await withDaemon(globals, id, FORBIDDEN, (client) => client.request("pause", {}));
    });
}
