import type { Command } from "commander";
import { CaissonError } from "../../protocol/errors.ts";
import { readState } from "../state/store.ts";
import { print } from "../text/stdout.ts";
import { withDaemon } from "./actions/daemon.ts";
import { type Globals, verb } from "./command.ts";
import { processTable } from "./ps-table.ts";

export function command(globals: Globals): Command {
  return verb("ps", "Lists the processes of a container. Process ids are those in the VM.")
    .argument("<container-id>")
    .argument("[ps-options...]", "of ps(1): -ef (the default), or -o with the columns")
    .option("-f, --format <format>", "table or json", "table")
    .passThroughOptions()
    .action(async (id: string, options: string[], { format }: { format: string }) => {
      if (format !== "table" && format !== "json") {
        throw new CaissonError("CAISSON_E_USAGE", "invalid format option", { remedy: "Give table or json." });
      }
      const show = processTable(options);
      if (readState(globals.root, id).status === "stopped") {
        // runc prints an empty list like this.
        print(format === "json" ? "null\n" : show([], Date.now()));
        return;
      }
      const text = await withDaemon(globals, id, "ps", async (client, { daemon }) => {
        // Engines look these pids up on the host (docker top), where a guest's pid would be some other process's.
        if (format === "json") return `${JSON.stringify([daemon.pid])}\n`;
        return show((await client.request("ps", {})).processes, Date.now());
      });
      print(text);
    });
}
