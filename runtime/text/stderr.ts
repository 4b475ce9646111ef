/** Writing that waits for nobody: whoever is to read may have stopped reading, and what is told must go on all the same. */
import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";
import { isSystemError } from "./errors.ts";
import { pause } from "./pause.ts";

const STDERR = 2;
/** How long a full pipe may keep us; then a line is lost, because a container's start must not hang on its log. */
const FULL_PIPE_LIMIT_MS = 200;
const RETRY_MS = 5;

/** Writes a line to standard error. */
export function printError(line: string): void {
  try {
    // Nobody keeps a file full, and another open file description would have a place of its own in it, which others write over.
    if (fstatSync(STDERR).isFile()) {
      writeWhole(STDERR, Buffer.from(line));
      return;
    }
    // Opened anew, so that O_NONBLOCK does not reach the others who share its open file description.
    const fd = openSync(
      `/proc/self/fd/${STDERR}`,
      constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK | constants.O_NOCTTY,
    );
    try {
      writeWhole(fd, Buffer.from(line));
    } finally {
      closeSync(fd);
    }
  } catch {
    // A socket, a terminal of another mount namespace, or no /proc.
    writeWhole(STDERR, Buffer.from(line));
  }
}

/** Whole lines in one write, so that processes that append to the same file do not mix theirs. */
export function writeWhole(fd: number, line: Buffer): void {
  let rest = line;
  for (let waited = 0; rest.length > 0 && waited < FULL_PIPE_LIMIT_MS; ) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      // A log that cannot be written (disk full, pipe closed) must not fail what it tells about.
      if (!isSystemError(error) || error.code !== "EAGAIN") return;
      pause(RETRY_MS);
      waited += RETRY_MS;
    }
  }
}
