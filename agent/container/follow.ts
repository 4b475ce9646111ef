import { type OutputNews, OutputState, type ProcessExit, type ProcessNews } from "../../protocol/generated/agent.ts";
import type { Output, OutputSink } from "./stdio.ts";

/** How long the end of an output waits for what else there is to tell: mostly that its process has ended. */
const END_WAITS_MS = 20;
const NOTHING = Buffer.alloc(0);

/** Where the news goes: the writing end of a call. */
export interface NewsSink {
  write(news: Omit<ProcessNews, "pid" | "created">): unknown;
  end(): void;
}

/** An output of which the first bytes are told. */
class Followed implements OutputSink {
  readonly #output: Output;
  readonly #changed: (isUrgent: boolean) => void;
  #left: number;
  #chunks: Buffer[] = [];
  #state: OutputState = OutputState.OUTPUT_OPEN;
  #isNew = false;

  constructor(output: Output, bytes: number, changed: (isUrgent: boolean) => void) {
    this.#output = output;
    this.#left = bytes;
    this.#changed = changed;
  }

  get isOver(): boolean {
    return this.#state !== OutputState.OUTPUT_OPEN;
  }

  attach(): void {
    this.#output.attach(this);
  }

  detach(): void {
    this.#output.detach(this);
  }

  write(data: Buffer): boolean {
    this.#chunks.push(data);
    this.#left -= data.length;
    if (this.#left <= 0) {
      this.detach();
      this.#state = OutputState.OUTPUT_HELD;
    }
    this.#isNew = true;
    this.#changed(true);
    return true;
  }

  onDrain(): void {}

  end(): void {
    this.#state = OutputState.OUTPUT_ENDED;
    this.#isNew = true;
    this.#changed(false);
  }

  /** Another call reads it from now on. */
  fail(): void {
    this.#state = OutputState.OUTPUT_HELD;
    this.#isNew = true;
    this.#changed(true);
  }

  /** What is new since the last time. */
  take(): OutputNews | undefined {
    if (!this.#isNew) return undefined;
    this.#isNew = false;
    const [first = NOTHING, ...others] = this.#chunks;
    this.#chunks = [];
    return { data: others.length === 0 ? first : Buffer.concat([first, ...others]), state: this.#state };
  }
}

/** How much is wanted of an output. */
export interface Wanted {
  output: Output;
  bytes: number;
}

/**
 * Tells what becomes of a process: the first bytes of its outputs, as many as are wanted, and its end. What is known at the same time is
 * told together.
 */
export class Follower {
  readonly #sink: NewsSink;
  readonly #stdout: Followed | undefined;
  readonly #stderr: Followed | undefined;
  readonly #outputs: readonly Followed[];
  #exit: ProcessExit | undefined;
  #hasEnded = false;
  #isOver = false;
  #soon: NodeJS.Immediate | undefined;
  #later: NodeJS.Timeout | undefined;

  constructor(sink: NewsSink, stdout: Wanted | undefined, stderr: Wanted | undefined) {
    this.#sink = sink;
    this.#stdout = this.#follow(stdout);
    this.#stderr = this.#follow(stderr);
    this.#outputs = [this.#stdout, this.#stderr].filter((output) => output !== undefined);
    for (const output of this.#outputs) output.attach();
  }

  /** The process has ended. */
  ended(exit: ProcessExit): void {
    this.#exit = exit;
    this.#hasEnded = true;
    // What it has written is read by then: whoever is told of its end waits for an output that is open a moment only.
    if (this.#outputs.some(({ isOver }) => !isOver)) this.#tellSoon(true);
    else this.#tell();
  }

  /** Tells no more; who reads an output next gets what has not been told. */
  stop(): void {
    this.#isOver = true;
    this.#stopWaiting();
    for (const output of this.#outputs) output.detach();
  }

  #follow(wanted: Wanted | undefined): Followed | undefined {
    if (wanted === undefined) return undefined;
    return new Followed(wanted.output, wanted.bytes, (isUrgent) => this.#tellSoon(isUrgent || this.#hasEnded));
  }

  #tellSoon(isUrgent: boolean): void {
    if (isUrgent) this.#soon ??= setImmediate(() => this.#tell());
    else this.#later ??= setTimeout(() => this.#tell(), END_WAITS_MS);
  }

  #tell(): void {
    this.#stopWaiting();
    if (this.#isOver) return;
    this.#sink.write({ stdout: this.#stdout?.take(), stderr: this.#stderr?.take(), exit: this.#exit });
    this.#exit = undefined;
    if (!this.#hasEnded || this.#outputs.some(({ isOver }) => !isOver)) return;
    this.#isOver = true;
    this.#sink.end();
  }

  #stopWaiting(): void {
    clearImmediate(this.#soon);
    clearTimeout(this.#later);
    this.#soon = undefined;
    this.#later = undefined;
  }
}
