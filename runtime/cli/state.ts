import type { Command } from "commander";
import { state } from "./actions/state.ts";
import { type Globals, verb } from "./command.ts";

export function command(globals: Globals): Command {
  return verb("state", "Prints the state of a container as JSON (runtime.md of the OCI runtime specification).")
    .argument("<container-id>")
    .action((id: string) => state(globals, id));
}
