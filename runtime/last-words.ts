/** How a process of ours ends by an error that nothing handled: with one sentence and a code, never with a stack trace. */
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { codeOf, formatError } from "./errors.ts";
import { log } from "./log.ts";

const STDERR = 2;

export interface LastWords {
  /** What the process ends with. */
  exitCode: number;
  /** Tells whoever started this process, and must not throw. */
  tell?: (sentence: string) => void;
}

/**
 * Has this process end in words when an exception or a rejection reaches nobody: in the log with its code, and on standard
 * error. The stack is in the log at level debug. Takes the place of what an earlier call asked for.
 */
export function endInWords({ exitCode, tell }: LastWords): void {
  process.removeAllListeners("uncaughtException");
  // Node raises a rejection that nothing handles as an exception.
  process.on("uncaughtException", (error: unknown) => {
    const sentence = `this process cannot go on: ${formatError(error)}`;
    log.error(sentence, { code: codeOf(error) });
    log.debug("where it was", { stack: error instanceof Error ? (error.stack ?? "") : "" });
    if (!log.isStderr) printError(`${sentence} (${codeOf(error)})\n`);
    tell?.(sentence);
    process.exit(exitCode);
  });
}

/** Without waiting for a pipe that nobody reads. */
function printError(line: string): void {
  try {
    const fd = openSync(`/proc/self/fd/${STDERR}`, constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK);
    try {
      writeSync(fd, line);
    } finally {
      closeSync(fd);
    }
  } catch {
    printPlainly(line);
  }
}

/** A socket cannot be opened again. */
function printPlainly(line: string): void {
  try {
    writeSync(STDERR, line);
  } catch {
    // Nobody reads it; the log has it.
  }
}
