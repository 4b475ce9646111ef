import { closeSync, constants, openSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { PollStream } from "../../native/vsock/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { isSystemError, systemErrorSentence } from "../text/errors.ts";

/** How long the reader of a FIFO may take to open its end. */
const READER_LIMIT_MS = 10_000;
const FIRST_POLL_MS = 1;
const LAST_POLL_MS = 20;

/** A process's standard input from a FIFO. */
export interface FifoInput {
  stream: PollStream;
  /** Lets the input end once all writers have closed it. Until then it outlives them: the next one may come. */
  letEnd(): void;
}

/** @throws CaissonError CAISSON_E_STORAGE when there is no such FIFO. */
export function openFifoInput(path: string): FifoInput {
  const fd = open(path, constants.O_RDONLY);
  let holder: number | undefined;
  try {
    holder = open(path, constants.O_WRONLY);
    const stream = new PollStream({ fd, writable: false });
    const letEnd = () => {
      if (holder !== undefined) closeSync(holder);
      holder = undefined;
    };
    stream.once("close", letEnd);
    return { stream, letEnd };
  } catch (error) {
    closeSync(fd);
    if (holder !== undefined) closeSync(holder);
    throw error;
  }
}

/**
 * A process's output to a FIFO, once its reader is there. Readers may go and others come: the FIFO stays open, and a full
 * one stops the process.
 * @throws CaissonError CAISSON_E_STORAGE when there is no such FIFO; CAISSON_E_TIMEOUT when nobody opens it to read; the
 * signal's reason.
 */
export async function openFifoOutput(path: string, signal?: AbortSignal): Promise<PollStream> {
  const fd = await openForReader(path, signal);
  let holder: number | undefined;
  try {
    // Our own reading end: without one, writing fails for good when the reader goes (pipe(7), EPIPE).
    const held = open(path, constants.O_RDONLY);
    holder = held;
    const stream = new PollStream({ fd, readable: false });
    stream.once("close", () => closeSync(held));
    return stream;
  } catch (error) {
    closeSync(fd);
    if (holder !== undefined) closeSync(holder);
    throw error;
  }
}

/** What is written before a reader has come would be lost if none did before we close it. */
async function openForReader(path: string, signal?: AbortSignal): Promise<number> {
  const end = performance.now() + READER_LIMIT_MS;
  for (let pollMs = FIRST_POLL_MS; ; pollMs = Math.min(2 * pollMs, LAST_POLL_MS)) {
    signal?.throwIfAborted();
    try {
      return open(path, constants.O_WRONLY);
    } catch (error) {
      const cause = (error as Error).cause;
      if (!isSystemError(cause) || cause.code !== "ENXIO") throw error;
      if (performance.now() > end) {
        throw new CaissonError(
          "CAISSON_E_TIMEOUT",
          `nobody has opened ${path} to read in ${READER_LIMIT_MS / 1000} s`,
          { cause },
        );
      }
    }
    await delay(pollMs);
  }
}

function open(path: string, mode: number): number {
  try {
    return openSync(path, mode | constants.O_NONBLOCK);
  } catch (cause) {
    throw new CaissonError("CAISSON_E_STORAGE", systemErrorSentence(`open the standard stream ${path}`, cause), {
      cause,
    });
  }
}
