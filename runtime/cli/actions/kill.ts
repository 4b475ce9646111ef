import type { GlobalSettings } from "../../control/plain-command.ts";
import { signalNumber } from "../../process/signal-number.ts";
import { readState } from "../../state/store.ts";
import { askDaemon } from "./daemon.ts";

/** Sends a signal, by its name or number, to a container's init, or to all its processes. */
export function kill(globals: GlobalSettings, id: string, text: string, all: boolean): void {
  const signal = signalNumber(text);
  // Every process of a container that has none has been sent it.
  if (all && readState(globals.root, id).status === "stopped") return;
  askDaemon(globals, id, "kill", { signal, all });
}
