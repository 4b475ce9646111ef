import { closeSync, constants, createReadStream, createWriteStream, fstatSync, openSync } from "node:fs";
import { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { isatty } from "node:tty";
import { getOnlcr } from "../../../native/posix/index.ts";
import { PollStream } from "../../../native/vsock/index.ts";
import type { ProcessId } from "../../../protocol/generated/agent.ts";
import { now } from "../../process/clock.ts";
import { log } from "../../text/log.ts";
import type { Agent } from "../agent/client.ts";
import { printable } from "../agent/printable.ts";

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
 * A stream that reads from a descriptor, which it owns from now on. A pipe or terminal is opened anew through /proc, so
 * that O_NONBLOCK does not reach the others who share its open file description. Undefined for the null device, which
 * nothing can be read from.
 */
export function openInput(fd: number): Readable | undefined {
  const kind = fstatSync(fd);
  if (kind.isCharacterDevice() && kind.rdev === NULL_DEVICE) {
    closeSync(fd);
    return undefined;
  }
  if (kind.isFIFO() || isatty(fd)) return new PollStream({ fd: reopen(fd, constants.O_RDONLY), writable: false });
  if (kind.isSocket()) return new Socket({ fd, readable: true, writable: false });
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
  const socket = new Socket({ fd, readable: false, writable: true });
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

/** How long an output stream that a left-over process keeps open may stay silent after the process's end. */
const SILENCE_AFTER_EXIT_MS = 100;
/** The same where more is likely: a reader has held the stream up, or it is an init's, with which all others end. */
const LONG_SILENCE_MS = 2000;
/** How much of what an ended process has written is kept here for a reader who does not read. Its pipe has at most 1 MiB. */
const KEPT_AFTER_EXIT_BYTES = 4 * 1024 * 1024;
/** Statuses of gRPC: the call was cancelled by us, and the connection has ended. Both are told elsewhere. */
const EXPECTED_ENDS: readonly unknown[] = [1, 14];

/** Copies one output stream of a process to `sink` until its end; `sink` slow stops the writer in the guest. */
export class OutputPump {
  readonly #call: ReturnType<Agent["readOutput"]>;
  readonly done: Promise<void>;
  #waitingForSink = false;
  #lastChunk = 0;
  #failed = false;
  #processEnded = false;
  readonly #ofInit: boolean;

  constructor(agent: Agent, process: ProcessId, output: "stdout" | "stderr", sink: Writable) {
    this.#ofInit = process.execId === "";
    this.#call = agent.readOutput(process, output);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.done = promise;
    const resume = () => {
      this.#waitingForSink = false;
      this.#call.resume();
    };
    this.#call.on("data", ({ data }: { data: Buffer }) => {
      this.#lastChunk = now();
      if (sink.write(data)) return;
      if (this.#processEnded && sink.writableLength < KEPT_AFTER_EXIT_BYTES) return;
      this.#waitingForSink = true;
      this.#call.pause();
      sink.once("drain", resume);
    });
    this.#call.on("error", (error: Error & { code?: unknown; details?: string }) => {
      this.#failed = true;
      if (!EXPECTED_ENDS.includes(error.code)) {
        log.error(`the ${output} of ${nameOf(process)} is cut off: ${printable(error.details ?? error.message)}`);
      }
      resolve();
    });
    this.#call.on("end", () => {
      resolve();
      // The process has closed it and may live on; a call that failed has had its error before.
      if (!this.#failed) sink.end();
    });
    // The reader went away: the process gets what it would get on a pipe, EPIPE.
    const gone = () => {
      this.#call.cancel();
      resolve();
    };
    sink.once("error", gone);
    sink.once("close", gone);
  }

  /**
   * After the process's end: takes what it wrote out of the guest, whether the reader reads or not, but does not wait for
   * ever for children that keep the stream open.
   */
  async drained(): Promise<void> {
    this.#processEnded = true;
    const limit = this.#waitingForSink || this.#ofInit ? LONG_SILENCE_MS : SILENCE_AFTER_EXIT_MS;
    if (this.#waitingForSink) this.#call.resume();
    this.#waitingForSink = false;
    this.#lastChunk = now();
    const poll = setInterval(() => {
      if (this.#waitingForSink || now() - this.#lastChunk < limit) return;
      this.#call.cancel();
    }, SILENCE_AFTER_EXIT_MS / 2);
    try {
      await this.done;
    } finally {
      clearInterval(poll);
    }
  }
}

/** Whether the holder of the terminal wants "\n" as it is; of one that has gone nobody wants anything. */
export function keepsNewlines(terminal: PollStream | undefined): boolean {
  return terminal !== undefined && !terminal.destroyed && !getOnlcr(terminal.fd);
}

function nameOf({ containerId, execId }: ProcessId): string {
  return execId === "" ? `container ${containerId}` : `process ${execId} of container ${containerId}`;
}

/** The longest chunk that agent.proto allows, bytes. */
const STDIN_CHUNK = 256 * 1024;

/** Copies `source` to the process's stdin until its end, then closes stdin; the guest slow stops the reading. */
export function pumpInput(agent: Agent, process: ProcessId, source: Readable): void {
  const { stream, done } = agent.writeStdin();
  // The process has ended or closed its stdin: what is left of the source is not ours to read.
  done.catch(() => {}).finally(() => source.destroy());
  stream.on("error", () => source.destroy());
  stream.write({ process, data: Buffer.alloc(0) });
  source.on("data", (chunk: Buffer) => {
    let room = true;
    for (let at = 0; at < chunk.length; at += STDIN_CHUNK) {
      room = stream.write({ process: undefined, data: chunk.subarray(at, at + STDIN_CHUNK) });
    }
    if (room) return;
    source.pause();
    stream.once("drain", () => source.resume());
  });
  source.once("end", () => stream.end());
  source.once("error", () => stream.end());
  // Of a socket that is told before anybody listens.
  if (source.readableEnded || source.destroyed) stream.end();
}
