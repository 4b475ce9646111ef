import { writeSync } from "node:fs";
import { pause } from "./pause.ts";

const STDOUT = 1;
/** 128 + SIGPIPE: what a program that does not handle the signal ends with. */
const READER_GONE = 141;
const RETRY_MS = 5;

/** Writes all of it to standard output; process.stdout would cost a verb 2 to 3 ms of loading. */
export function print(text: string): void {
  for (let rest = Buffer.from(text); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(STDOUT, rest));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EPIPE") process.exit(READER_GONE);
      if (code !== "EAGAIN") throw error;
      // A pipe that its other end made non-blocking.
      pause(RETRY_MS);
    }
  }
}
