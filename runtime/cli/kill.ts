import type { Command } from "commander";
import { readState } from "../state/store.ts";
import { type Globals, verb } from "./command.ts";
import { withDaemon } from "./daemon.ts";
import { signalNumber } from "./signal.ts";

export function command(globals: Globals): Command {
  return verb("kill", "Sends a signal to the first process of a container.")
    .argument("<container-id>")
    .argument("[signal]", "name or number", "SIGTERM")
    .option("-a, --all", "send it to every process of the container")
    .action(async (id: string, text: string, { all = false }: { all?: boolean }) => {
      const signal = signalNumber(text);
      // Every process of a container that has none has been sent it.
      if (all && readState(globals.root, id).status === "stopped") return;
      await withDaemon(globals, id, "kill", (client) => client.request("kill", { signal, all }));
    });
}
