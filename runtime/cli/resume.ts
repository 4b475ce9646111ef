import type { Command } from "commander";
import { resume } from "./actions/freeze.ts";
import { type Globals, verb } from "./command.ts";

export function command(globals: Globals): Command {
  return verb("resume", "Thaws all processes of a paused container.")
    .argument("<container-id>")
    .action((id: string) => resume(globals, id));
}
