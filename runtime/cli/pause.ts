import type { Command } from "commander";
import { pause } from "./actions/freeze.ts";
import { type Globals, verb } from "./command.ts";

export function command(globals: Globals): Command {
  return verb("pause", "Freezes all processes of a running container.")
    .argument("<container-id>")
    .action((id: string) => pause(globals, id));
}
