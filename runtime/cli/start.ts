import type { Command } from "commander";
import { type Globals, verb } from "./command.ts";
import { withDaemon } from "./daemon.ts";

const FORBIDDEN = {
  running: "cannot start an already running container",
  paused: "cannot start a paused container",
  stopped: "cannot start a container that has stopped",
};

export function command(globals: Globals): Command {
  return verb("start", "Starts the process of a created container.")
    .argument("<container-id>")
    .action(async (id: string) => {
      await withDaemon(globals, id, FORBIDDEN, (client) => client.request("start", {}));
    });
}
