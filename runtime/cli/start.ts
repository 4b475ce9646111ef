import type { Command } from "commander";
import { start } from "./actions/start.ts";
import { type Globals, verb } from "./command.ts";

export function command(globals: Globals): Command {
  return verb("start", "Starts the process of a created container.")
    .argument("<container-id>")
    .action((id: string) => start(globals, id));
}
