import type { Command } from "commander";
import { kill } from "./actions/kill.ts";
import { type Globals, verb } from "./command.ts";

export function command(globals: Globals): Command {
  return verb("kill", "Sends a signal to the first process of a container.")
    .argument("<container-id>")
    .argument("[signal]", "name or number", "SIGTERM")
    .option("-a, --all", "send it to every process of the container")
    .action((id: string, text: string, { all = false }: { all?: boolean }) => kill(globals, id, text, all));
}
