import type { GlobalSettings } from "../../control/plain-command.ts";
import { askDaemon } from "./daemon.ts";

/** Freezes all processes of a container. */
export function pause(globals: GlobalSettings, id: string): void {
  askDaemon(globals, id, "pause", {});
}

/** Thaws them. */
export function resume(globals: GlobalSettings, id: string): void {
  askDaemon(globals, id, "resume", {});
}
