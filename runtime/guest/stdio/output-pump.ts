import type { Writable } from "node:stream";
import { PollStream } from "../../../native/vsock/index.ts";
import type { ProcessId, Stream } from "../../../protocol/generated/agent.ts";
import { now } from "../../process/clock.ts";
import { formatError } from "../../text/errors.ts";
import { log } from "../../text/log.ts";
import type { StreamPort } from "../../vm/stream-ports.ts";
import type { Agent } from "../agent/client.ts";
import { printable } from "../agent/printable.ts";
import { Bulk } from "./bulk.ts";
import type { FollowedOutput, Lost } from "./following.ts";
import { MovedOutput, type Ways } from "./moved-output.ts";

/** How long an output stream that a left-over process keeps open may stay silent after the process's end. */
const SILENCE_AFTER_EXIT_MS = 100;
/** The same where more is likely: a reader has held the stream up, or it is an init's, with which all others end. */
const LONG_SILENCE_MS = 2000;
/**
 * How much of what an ended process has written is kept here for a reader who does not read. Its pipe has at most 1 MiB, and the ring of
 * a stream port 128 pieces of 32 KiB.
 */
const KEPT_AFTER_EXIT_BYTES = 8 * 1024 * 1024;
/** How long the agent may take to move a stream, or to close it. */
const CALL_LIMIT_MS = 30_000;
/** Statuses of gRPC: the call was cancelled by us, and the connection has ended. Both are told elsewhere. */
const EXPECTED_ENDS: readonly unknown[] = [1, 14];

type Output = "stdout" | "stderr";
/** By their numbers: the generated code itself would bring gRPC, which is not to be loaded before there is an agent (agent/connect.ts). */
const STREAMS: { stdout: Stream.STREAM_STDOUT; stderr: Stream.STREAM_STDERR } = { stdout: 1, stderr: 2 };

/**
 * Copies one output stream of a process to `sink` until its end; `sink` slow stops the writer in the guest. The first of it comes with the news of
 * the process (following.ts), the rest through a call, and when much comes, through a stream port, as long as there is one.
 */
export class OutputPump implements FollowedOutput {
  readonly done: Promise<void>;
  readonly #resolve: () => void;
  readonly #ways: Ways;
  readonly #process: ProcessId;
  readonly #output: Output;
  readonly #sink: Writable;
  #call: ReturnType<Agent["readOutput"]> | undefined;
  readonly #bulk = new Bulk();
  /** The port to which the agent has moved it, or is about to. */
  #moving: Promise<StreamPort | undefined> | undefined;
  #moved: MovedOutput | undefined;
  #waitingForSink = false;
  #lastChunk = 0;
  #isOver = false;
  #processEnded = false;

  constructor(ways: Ways, process: ProcessId, output: Output, sink: Writable) {
    this.#ways = ways;
    this.#process = process;
    this.#output = output;
    this.#sink = sink;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.done = promise;
    this.#resolve = resolve;
    sink.once("error", (error) => {
      // A reader that has gone from a pipe or a terminal is nothing to tell: the process learns of it.
      if (!(sink instanceof PollStream)) this.#tell(formatError(error));
      this.#leave();
    });
    sink.once("close", () => this.#leave());
  }

  data(chunk: Buffer): void {
    if (!this.#isOver) this.#write(chunk);
  }

  ended(): void {
    if (!this.#isOver) this.#finish();
  }

  held(): void {
    if (this.#isOver) return;
    this.#call = this.#read();
    if (this.#waitingForSink) this.#call.pause();
  }

  lost(error: Lost): void {
    if (!EXPECTED_ENDS.includes(error.code)) this.#tell(error.details ?? error.message);
    this.#abandon();
  }

  #read(): ReturnType<Agent["readOutput"]> {
    const call = this.#ways.agent.readOutput(this.#process, this.#output);
    call.on("data", ({ data }: { data: Buffer }) => {
      this.#write(data);
      if (this.#moving === undefined && !this.#processEnded && this.#bulk.add(data.length)) this.#move();
    });
    call.on("error", (error: Lost) => this.lost(error));
    call.on("end", async () => {
      const port = await this.#moving;
      // A call that failed has had its error before.
      if (this.#isOver) return;
      if (port === undefined) this.#finish();
      else this.#goOn(port);
    });
    return call;
  }

  /**
   * After the process's end: takes what it wrote out of the guest, whether the reader reads or not, but does not wait for
   * ever for children that keep the stream open.
   */
  async drained(): Promise<void> {
    this.#processEnded = true;
    const isInit = this.#process.execId === "";
    const limit = this.#waitingForSink || isInit ? LONG_SILENCE_MS : SILENCE_AFTER_EXIT_MS;
    if (this.#waitingForSink) this.#resume();
    this.#lastChunk = now();
    const poll = setInterval(() => {
      if (this.#waitingForSink || now() - this.#lastChunk < limit) return;
      this.#cancel();
    }, SILENCE_AFTER_EXIT_MS / 2);
    try {
      await this.done;
    } finally {
      clearInterval(poll);
    }
  }

  #move(): void {
    const { agent, ports } = this.#ways;
    const port = ports.take("fromGuest");
    if (port === undefined) return;
    const request = { process: this.#process, stream: STREAMS[this.#output], port: port.number };
    this.#moving = agent.call("moveOutput", request, { timeoutMs: CALL_LIMIT_MS }).then(
      ({ moved }) => {
        if (moved) return port;
        ports.giveBack(port);
        return undefined;
      },
      (error: Error) => {
        log.debug(`the ${this.#output} of ${nameOf(this.#process)} stays where it is: ${error.message}`);
        ports.drop(port);
        return undefined;
      },
    );
  }

  #goOn(port: StreamPort): void {
    const moved = new MovedOutput(this.#ways, port, {
      data: (chunk) => this.#writeTransient(chunk),
      end: (problem) => {
        if (problem !== undefined) log.debug(`the ${this.#output} of ${nameOf(this.#process)}: ${problem.message}`);
        this.#finish();
      },
      yielded: () => {
        this.#moving = undefined;
        this.#moved = undefined;
        this.held();
      },
    });
    this.#moved = moved;
    if (!this.#waitingForSink) moved.resume();
  }

  /** A chunk that is valid only now. */
  #writeTransient(chunk: Buffer): void {
    const sink = this.#sink;
    if (!(sink instanceof PollStream)) this.#write(Buffer.from(chunk));
    else if (sink.writeTransient(chunk, () => this.#resume())) this.#lastChunk = now();
    else this.#wait();
  }

  #write(chunk: Buffer): void {
    if (this.#sink.write(chunk)) this.#lastChunk = now();
    else if (this.#wait()) this.#sink.once("drain", () => this.#resume());
  }

  /** Whether the guest has to, or what comes is kept here. */
  #wait(): boolean {
    this.#lastChunk = now();
    if (this.#processEnded && this.#sink.writableLength < KEPT_AFTER_EXIT_BYTES) return false;
    this.#waitingForSink = true;
    (this.#moved ?? this.#call)?.pause();
    return true;
  }

  #resume(): void {
    this.#waitingForSink = false;
    (this.#moved ?? this.#call)?.resume();
  }

  /** The reader went away: the process gets what it would get on a pipe, SIGPIPE or EPIPE. */
  #leave(): void {
    if (this.#isOver) return;
    this.#cancel();
    if (this.#processEnded) return;
    const request = { process: this.#process, stream: STREAMS[this.#output] };
    this.#ways.agent.call("closeOutput", request, { timeoutMs: CALL_LIMIT_MS }).catch(() => {});
  }

  #finish(): void {
    this.#isOver = true;
    this.#resolve();
    // The process has closed it and may live on.
    this.#sink.end();
  }

  #cancel(): void {
    if (this.#moved === undefined) this.#call?.cancel();
    else this.#moved.cancel();
    this.#abandon();
  }

  /** No more comes. What is on its way to a port must not be taken for the next one's. */
  #abandon(): void {
    if (!this.#isOver && this.#moved === undefined) void this.#moving?.then((port) => port && this.#clear(port));
    this.#isOver = true;
    this.#resolve();
  }

  #clear(port: StreamPort): void {
    new MovedOutput(this.#ways, port, { data: () => {}, end: () => {}, yielded: () => {} }).cancel();
  }

  #tell(why: string): void {
    log.error(`the ${this.#output} of ${nameOf(this.#process)} is cut off: ${printable(why)}`);
  }
}

function nameOf({ containerId, execId }: ProcessId): string {
  return execId === "" ? `container ${containerId}` : `process ${execId} of container ${containerId}`;
}
