/** How a process of ours ends by an error that nothing handled: with one sentence and a code, never with a stack trace. */
import { codeOf, formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import { printError } from "../text/stderr.ts";

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
