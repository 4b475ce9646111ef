import type { ExitStatus } from "../control/protocol.ts";
import type { Exit } from "../guest/exit-status.ts";
import { log } from "../text/log.ts";
import { printError } from "../text/stderr.ts";
import { diedError } from "../vm/exit-reason.ts";

/**
 * Why a process has ended as it has, where the exit code alone does not tell; a VM that was ended as asked needs no word.
 * @param name begins the sentence: "Container c1".
 */
export function endReason(name: string, { death, memoryExhausted }: Exit): string | undefined {
  const exhausted = memoryExhausted === undefined ? undefined : `${name} is out of memory: ${memoryExhausted}.`;
  if (death === undefined || death.reason === "killed") return exhausted;
  const lost = diedError(`${name} is lost`, death).message;
  return exhausted === undefined ? lost : `${exhausted} ${lost}`;
}

/** How a process ended, for whoever waits for it. @param name begins the sentence that says why: "container c1". */
export function toExitStatus(name: string, exit: Exit): ExitStatus {
  const { exitCode, exitedAt, oomKilled, memoryExhausted } = exit;
  return { exitCode, exitedAt, oomKilled, memoryExhausted, reason: endReason(name, exit) };
}

/**
 * Tells of something that whoever started a process cannot learn from the exit code alone: in the log, and on standard
 * error in any case, which may be a pipe that nobody reads.
 */
export function tellLoss(sentence: string): void {
  log.error(sentence);
  if (!log.isStderr) printError(`${sentence}\n`);
}
