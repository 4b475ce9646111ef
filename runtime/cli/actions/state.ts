import type { GlobalSettings } from "../../control/plain-command.ts";
import { runcState } from "../../state/record.ts";
import { readState } from "../../state/store.ts";
import { print } from "../../text/stdout.ts";

/** runc looks the owner up for `list` only. */
const NO_OWNER = "";

/** Prints a container's state. */
export function state({ root }: GlobalSettings, id: string): void {
  print(`${JSON.stringify(runcState(readState(root, id), NO_OWNER), null, 2)}\n`);
}
