/** Reads of files that others name or write: no file takes more memory or time than its limits, whatever it is. */
import { closeSync, constants, fstatSync, openSync, readlinkSync, readSync } from "node:fs";
import { pause } from "./pause.ts";

export interface ReadLimits {
  /** The most that is read. */
  bytes: number;
  /** Whether pipes and devices are read as well as regular files, for at most PIPE_LIMIT_MS. */
  pipes?: boolean;
}

/** For files that hold a few settings or facts. */
export const SMALL_FILE: ReadLimits = { bytes: 1024 * 1024 };

/** How long the writer of a pipe may take until it has written all and closed it. */
export const PIPE_LIMIT_MS = 10_000;

const PAUSE_MS = 2;
const CHUNK = 64 * 1024;

/** The file has more than its limit. */
export class TooLarge extends Error {}

/**
 * The whole content of the file.
 * @throws Node's system error when it cannot be read; an Error that says why when it is of a kind that is not read or a
 *   pipe's writer takes too long; TooLarge.
 */
export function readBounded(path: string, limits: ReadLimits): Buffer {
  // Without O_NONBLOCK a FIFO would block the call until somebody opens it for writing (fifo(7)).
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const stat = fstatSync(fd);
    if (stat.isDirectory()) throw new Error("it is a directory, not a regular file");
    if (!stat.isFile() && limits.pipes !== true) throw new Error("it is not a regular file");
    if (stat.isFile() && stat.size > limits.bytes) throw tooLarge(`it has ${stat.size} bytes`, limits);
    return readToEnd(fd, stat.isFile() ? "file" : isUnnamedPipe(fd) ? "pipe" : "fifo", limits);
  } finally {
    closeSync(fd);
  }
}

function readToEnd(fd: number, kind: "file" | "pipe" | "fifo", limits: ReadLimits): Buffer {
  const chunks: Buffer[] = [];
  const end = process.uptime() * 1000 + PIPE_LIMIT_MS;
  // A FIFO that nobody has opened for writing reads as if it had ended.
  let hasWriter = kind !== "fifo";
  for (let length = 0; ; ) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK, limits.bytes + 1 - length));
    const count = readIfReady(fd, chunk);
    if (count === 0 && hasWriter) return Buffer.concat(chunks, length);
    if (count === undefined || count > 0) hasWriter = true;
    if (count !== undefined && count > 0) {
      length += count;
      if (length > limits.bytes) throw tooLarge("it has more", limits);
      chunks.push(chunk.subarray(0, count));
    } else {
      if (process.uptime() * 1000 > end)
        throw new Error(`nobody has written all of it within ${PIPE_LIMIT_MS / 1000} s`);
      pause(PAUSE_MS);
    }
  }
}

/** The number of bytes, 0 at the end; nothing while the pipe is empty and has a writer. */
function readIfReady(fd: number, buffer: Buffer): number | undefined {
  try {
    return readSync(fd, buffer, 0, buffer.length, null);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAGAIN") return undefined;
    throw error;
  }
}

/** The pipe of pipe(2) had its writer from the start: no other can come. */
function isUnnamedPipe(fd: number): boolean {
  return readlinkSync(`/proc/self/fd/${fd}`).startsWith("pipe:");
}

/**
 * What standard input holds, whatever it is.
 * @throws as readBounded.
 */
export async function readStdin({ bytes }: ReadLimits): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  const late = setTimeout(() => {
    process.stdin.destroy(new Error(`nobody has written all of it within ${PIPE_LIMIT_MS / 1000} s`));
  }, PIPE_LIMIT_MS);
  try {
    for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > bytes) throw tooLarge("it has more", { bytes });
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(late);
  }
  return Buffer.concat(chunks, length);
}

function tooLarge(has: string, { bytes }: ReadLimits): TooLarge {
  return new TooLarge(`${has}, and at most ${bytes} bytes are read`);
}
