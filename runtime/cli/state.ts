import type { Command } from "commander";
import { runcState } from "../state/record.ts";
import { readState } from "../state/store.ts";
import { type Globals, verb } from "./command.ts";
import { print } from "./output.ts";

/** runc looks the owner up for `list` only. */
const NO_OWNER = "";

export function command({ root }: Globals): Command {
  return verb("state", "Prints the state of a container as JSON (runtime.md of the OCI runtime specification).")
    .argument("<container-id>")
    .action((id: string) => {
      print(`${JSON.stringify(runcState(readState(root, id), NO_OWNER), null, 2)}\n`);
    });
}
