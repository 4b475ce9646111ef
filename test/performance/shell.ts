import type { Readable, Writable } from "node:stream";

const NEWLINE = 10;
const CHUNK = 64 * 1024;
/** A guest that says nothing for so long, while it should, hangs. Package managers take minutes under emulation. */
const SILENCE_LIMIT_MS = 900_000;

/**
 * A shell in a guest, reached over a pair of streams: the same commands measure a container's streams and those of a bare
 * guest. Seconds are counted on this side, from the command's writing to the arrival of what ends it.
 */
export class Shell {
  readonly #input: Writable;
  #received: Buffer[] = [];
  #bytes = 0;
  #arrival = Promise.withResolvers<void>();
  readonly #failed = Promise.withResolvers<never>();
  readonly #silence: NodeJS.Timeout;
  #waiting = false;

  constructor(input: Writable, output: Readable, signal: AbortSignal) {
    this.#input = input;
    this.#failed.promise.catch(() => {});
    const fail = (error?: Error) => this.#failed.reject(error ?? new Error("The guest's shell ended."));
    this.#silence = setTimeout(() => this.#waiting && fail(new Error("The guest's shell hangs.")), SILENCE_LIMIT_MS);
    this.#silence.unref();
    signal.addEventListener("abort", () => fail(signal.reason as Error));
    output.on("data", (chunk: Buffer) => {
      this.#received.push(chunk);
      this.#bytes += chunk.length;
      this.#arrival.resolve();
      this.#arrival = Promise.withResolvers();
    });
    output.once("close", () => fail());
    output.once("error", fail);
    input.once("error", fail);
  }

  /** Waits for the first line that a shell says of itself. */
  async greeting(): Promise<string> {
    return await this.#line();
  }

  /** Runs commands that print nothing. */
  async run(commands: string): Promise<number> {
    const start = performance.now();
    this.#write(commands);
    await this.#succeeded(commands);
    return secondsSince(start);
  }

  /** Runs a command that reads the data from standard input. */
  async send(command: string, data: Buffer): Promise<number> {
    // A shell reads ahead: what it must not take for commands is sent when it has handed standard input over.
    this.#write(`echo ready; ${command}`);
    await this.#line();
    const start = performance.now();
    for (let at = 0; at < data.length; at += CHUNK) {
      if (this.#input.write(data.subarray(at, at + CHUNK))) continue;
      await this.#wait(new Promise((resolve) => this.#input.once("drain", resolve)));
    }
    await this.#succeeded(command);
    return secondsSince(start);
  }

  /** Runs a command that prints so many bytes. */
  async receive(command: string, length: number): Promise<{ seconds: number; data: Buffer[] }> {
    const start = performance.now();
    this.#write(command);
    while (this.#bytes < length) await this.#more();
    const seconds = secondsSince(start);
    const data = this.#take(length);
    await this.#succeeded(command);
    return { seconds, data };
  }

  #write(command: string): void {
    this.#input.write(`${command}; echo "status $?"\n`);
  }

  async #succeeded(command: string): Promise<void> {
    const line = await this.#line();
    if (line !== "status 0") throw new Error(`"${command}" in the guest: ${line.slice(0, 200)}`);
  }

  async #line(): Promise<string> {
    for (let looked = 0; ; ) {
      for (; looked < this.#received.length; looked++) {
        const end = (this.#received[looked] as Buffer).indexOf(NEWLINE);
        if (end < 0) continue;
        const before = this.#received.slice(0, looked).reduce((sum, { length }) => sum + length, 0);
        return Buffer.concat(this.#take(before + end + 1))
          .toString("utf8")
          .trimEnd();
      }
      await this.#more();
    }
  }

  async #more(): Promise<void> {
    await this.#wait(this.#arrival.promise);
  }

  async #wait(event: Promise<unknown>): Promise<void> {
    this.#silence.refresh();
    this.#waiting = true;
    await Promise.race([event, this.#failed.promise]);
    this.#waiting = false;
  }

  /** The first bytes of what has come, which are there. */
  #take(length: number): Buffer[] {
    const taken: Buffer[] = [];
    let missing = length;
    let used = 0;
    for (const chunk of this.#received) {
      if (missing === 0) break;
      if (chunk.length > missing) {
        taken.push(chunk.subarray(0, missing));
        this.#received[used] = chunk.subarray(missing);
        missing = 0;
      } else {
        taken.push(chunk);
        missing -= chunk.length;
        used += 1;
      }
    }
    this.#received = this.#received.slice(used);
    this.#bytes -= length;
    return taken;
  }
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}
