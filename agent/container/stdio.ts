import { Carry, type PollStream } from "../../native/vsock/index.ts";
import { CaissonError } from "../../protocol/errors.ts";

/** Where output goes: the writing end of a call. */
export interface OutputSink {
  /** Takes a chunk; false when the next one should wait for `drain`. */
  write(data: Buffer): boolean;
  onDrain(listener: () => void): void;
  end(): void;
  /** Ends it early. */
  fail(error: CaissonError): void;
}

/**
 * An output stream of a process. The stream is read only while a reader wants more, so what nobody reads stays in the pipe and
 * stops the writer.
 */
export class Output {
  readonly #source: PollStream;
  readonly #name: string;
  #sink: OutputSink | undefined;
  #carry: Carry | undefined;
  #ended = false;

  constructor(source: PollStream, name: string) {
    this.#source = source;
    this.#name = name;
    source.on("data", (chunk: Buffer) => this.#take(chunk));
    source.pause();
    source.once("close", () => this.#finish());
    // A terminal's master reports EIO once the last process has closed it (pty(7)); like any other error it is the end.
    source.on("error", () => source.destroy());
  }

  /** Whether all there was to read has been handed to readers. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Sends what comes from now on to the sink, until the stream ends or detach(). A reader before it fails: the host may
   * have lost that one's connection already while the guest has not noticed yet. Throws CAISSON_E_STATE for one that is moved.
   */
  attach(sink: OutputSink): void {
    if (this.#ended) {
      sink.end();
      return;
    }
    if (this.#carry !== undefined) {
      throw new CaissonError("CAISSON_E_STATE", `${this.#name} has been moved to a stream port`);
    }
    this.#sink?.fail(new CaissonError("CAISSON_E_STATE", `${this.#name} is read by another call from now on`));
    this.#sink = sink;
    this.#source.resume();
  }

  /** Ends a reader's part; the stream waits for the next one. */
  detach(sink: OutputSink): void {
    if (this.#sink !== sink) return;
    this.#sink = undefined;
    this.#source.pause();
  }

  /**
   * Has the rest go to the descriptor, and ends the sink, which has got all that was read before.
   * @returns undefined when nobody reads it, or it has ended.
   */
  move(to: number): Carry | undefined {
    const sink = this.#sink;
    if (sink === undefined || this.#ended || this.#source.destroyed) return undefined;
    const carry = new Carry({ from: this.#source.fd, to });
    this.#source.lent = true;
    // It hands each out by its "data" event as well.
    while (this.#source.read() !== null);
    this.#source.pause();
    this.#sink = undefined;
    sink.end();
    this.#carry = carry;
    void carry.over.then(({ isStopped }) => {
      this.#carry = undefined;
      this.#source.lent = false;
      // At its end there is nothing to read but that.
      if (!isStopped) this.#source.resume();
    });
    return carry;
  }

  /** Ends what move() began. */
  stop(): void {
    this.#carry?.stop();
  }

  /** Drops what nobody read. */
  close(): void {
    this.stop();
    this.#source.destroy();
  }

  #take(chunk: Buffer): void {
    const sink = this.#sink;
    if (sink === undefined || sink.write(chunk)) return;
    this.#source.pause();
    sink.onDrain(() => {
      if (this.#sink === sink) this.#source.resume();
    });
  }

  #finish(): void {
    this.#ended = true;
    this.#sink?.end();
    this.#sink = undefined;
  }
}

/** A process's stdin. */
export class Input {
  readonly #target: PollStream;
  #carry: Carry | undefined;
  readonly #endable: boolean;
  #broken = false;

  constructor(target: PollStream, { endable = true }: { endable?: boolean } = {}) {
    this.#target = target;
    this.#endable = endable;
    // EPIPE: the process has closed its stdin, so nobody will miss the rest.
    target.on("error", () => {
      this.#broken = true;
    });
    target.once("close", () => {
      this.#broken = true;
    });
  }

  /** Whether bytes still reach the process. */
  get open(): boolean {
    return !this.#broken && this.#target.writable;
  }

  /** Calls back once the pipe took the bytes, with false when the process does not take any more. */
  write(data: Uint8Array, taken: (open: boolean) => void): void {
    if (!this.open) {
      taken(false);
      return;
    }
    this.#target.write(data, (error) => taken(!error));
  }

  /** Has the rest come from the descriptor, until the limit that is set; without it until this is closed. */
  move(from: number): Carry {
    const carry = new Carry({ from, to: this.open ? this.#target.fd : from, drains: true });
    this.#carry = carry;
    // A terminal is its output's, too.
    if (this.#endable) this.#target.lent = true;
    if (!this.open) this.letGo();
    return carry;
  }

  /** What still comes of what move() began does not reach the process any more. */
  letGo(): void {
    if (this.#carry === undefined) return;
    this.#carry.letGo();
    this.#carry = undefined;
    if (this.#endable) this.#target.lent = false;
  }

  /** Ends the stream after what was written; where there is no such end, as on a terminal, it does nothing. */
  end(): void {
    this.letGo();
    if (this.#endable && this.open) this.#target.end();
  }

  close(): void {
    this.letGo();
    this.#target.destroy();
  }
}
