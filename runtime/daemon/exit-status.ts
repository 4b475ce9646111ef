import type { ExitStatus } from "../control/protocol.ts";
import type { Exit } from "../guest/exit-status.ts";
import { endReason } from "./loss.ts";

/** How a process ended, for whoever waits for it. @param name begins the sentence that says why: "container c1". */
export function toExitStatus(name: string, exit: Exit): ExitStatus {
  const { exitCode, exitedAt, oomKilled, memoryExhausted } = exit;
  return { exitCode, exitedAt, oomKilled, memoryExhausted, reason: endReason(name, exit) };
}
