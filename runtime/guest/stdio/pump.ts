import { closeSync, constants, createReadStream, createWriteStream, fstatSync, openSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { isatty } from "node:tty";
import { getOnlcr } from "../../../native/posix/index.ts";
import { PollStream } from "../../../native/vsock/index.ts";

/** The host's ends of a process's standard streams; a missing one is /dev/null. */
export interface ProcessIo {
  stdin: Readable | undefined;
  stdout: Writable | undefined;
  stderr: Writable | undefined;
  /** The terminal that `stdin` is, for a process that has one: its hang-up and its line ends are passed on. */
  terminal?: PollStream | undefined;
  /** How long an output that nobody reads keeps the process's end from being told; as long as it likes by default. */
  stallLimitMs?: number | undefined;
}

/** The null device's number: major 1, minor 3 (Documentation/admin-guide/devices.txt). */
const NULL_DEVICE = 0x103;

/**
 * A stream that reads from a descriptor, which it owns from now on; its chunks may be valid only while their "data" event
 * runs. A pipe or terminal is opened anew through /proc, so that O_NONBLOCK does not reach the others who share its open
 * file description. Undefined for the null device, which nothing can be read from.
 */
export function openInput(fd: number): Readable | undefined {
  const kind = fstatSync(fd);
  if (kind.isCharacterDevice() && kind.rdev === NULL_DEVICE) {
    closeSync(fd);
    return undefined;
  }
  const isOpenedAnew = kind.isFIFO() || isatty(fd);
  if (isOpenedAnew || kind.isSocket()) {
    const own = isOpenedAnew ? reopen(fd, constants.O_RDONLY) : fd;
    return new PollStream({ fd: own, writable: false, transientChunks: true });
  }
  return createReadStream("", { fd, autoClose: true });
}

/** A stream that writes to a descriptor, as `openInput`. A pipe nobody reads fails as writing to it would: EPIPE. */
export function openOutput(fd: number): Writable {
  const kind = fstatSync(fd);
  if (kind.isFIFO() || isatty(fd)) return new PollStream({ fd: reopen(fd, constants.O_WRONLY), readable: false });
  if (kind.isSocket()) return sharedSocket(fd);
  return createWriteStream("", { fd, autoClose: true });
}

/** The socket is our caller's, too (systemd hands out such ones): our end of it must not be shut down for all. */
function sharedSocket(fd: number): Writable {
  const socket = new PollStream({ fd, readable: false });
  socket._final = (callback) => callback();
  return socket;
}

function reopen(fd: number, mode: number): number {
  try {
    const own = openSync(`/proc/self/fd/${fd}`, mode | constants.O_NONBLOCK | constants.O_NOCTTY);
    closeSync(fd);
    return own;
  } catch (error) {
    // ENXIO: a FIFO without a reader (fifo(7)); ENOENT and EACCES: a terminal of another mount namespace or user.
    if (["ENXIO", "ENOENT", "EACCES"].includes((error as NodeJS.ErrnoException).code ?? "")) return fd;
    throw error;
  }
}

/** Whether the holder of the terminal wants "\n" as it is; of one that has gone nobody wants anything. */
export function keepsNewlines(terminal: PollStream | undefined): boolean {
  return terminal !== undefined && !terminal.destroyed && !getOnlcr(terminal.fd);
}
