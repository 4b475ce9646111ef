import { CaissonError } from "../../../protocol/errors.ts";
import { now } from "../../process/clock.ts";
import type { StreamPort, StreamPorts } from "../../vm/stream-ports.ts";
import type { Agent } from "../agent/client.ts";

/** What carries a process's standard streams. */
export interface Ways {
  readonly agent: Agent;
  readonly ports: StreamPorts;
}

/** An output that has been silent for so long gives its port to another that wants one. */
const IDLE_MS = 1000;
/** How long the guest may take to stop an output, and what is left of it to come. */
const STOP_LIMIT_MS = 10_000;

export interface Listener {
  /** A chunk that is valid only now. */
  data(chunk: Buffer): void;
  /** All has come, or no more will, and why. Not after cancel(). */
  end(problem?: CaissonError): void;
  /** In place of the end: the port has gone to another, and what comes later is for the next ReadOutput. */
  yielded(): void;
}

/** The rest of an output, which the agent has moved to a stream port. */
export class MovedOutput {
  readonly #ways: Ways;
  readonly #port: StreamPort;
  readonly #listener: Listener;
  #received = 0;
  #total: number | undefined;
  #isCancelled = false;
  #isYielding = false;
  #lastChunk = now();
  #isOver = false;
  readonly #onData = (chunk: Buffer) => this.#take(chunk);
  readonly #onClose = () => this.#fail("the stream port is closed");

  /** Takes the port over. Nothing comes before resume(). */
  constructor(ways: Ways, port: StreamPort, listener: Listener) {
    this.#ways = ways;
    this.#port = port;
    this.#listener = listener;
    port.wanted = () => this.#yield();
    port.stream.on("data", this.#onData);
    port.stream.once("close", this.#onClose);
    if (port.stream.destroyed) this.#onClose();
    else this.#await(false);
  }

  pause(): void {
    this.#port.stream.pause();
  }

  resume(): void {
    if (!this.#isOver) this.#port.stream.resume();
  }

  /** Nobody wants the rest. The port is free again once that has come. */
  cancel(): void {
    if (this.#isCancelled || this.#isOver) return;
    this.#isCancelled = true;
    this.resume();
    this.#await(true);
    setTimeout(() => this.#fail("the guest does not stop"), STOP_LIMIT_MS).unref();
  }

  /** Nothing comes just now, and another stream has much. */
  #yield(): void {
    if (this.#isYielding || this.#isCancelled || now() - this.#lastChunk < IDLE_MS) return;
    this.#isYielding = true;
    this.#await(true);
  }

  #await(stop: boolean): void {
    const limits = stop ? { timeoutMs: STOP_LIMIT_MS } : {};
    this.#ways.agent.call("awaitOutput", { port: this.#port.number, stop }, limits).then(
      ({ bytes }) => {
        this.#total = Number(bytes);
        this.#check();
      },
      (error: CaissonError) => this.#fail(error.message),
    );
  }

  #take(chunk: Buffer): void {
    this.#received += chunk.length;
    this.#lastChunk = now();
    if (!this.#isCancelled) this.#listener.data(chunk);
    this.#check();
  }

  #check(): void {
    if (this.#isOver || this.#total === undefined || this.#received < this.#total) return;
    if (this.#received > this.#total) {
      this.#fail(`the guest says that it was ${this.#total} bytes, of which ${this.#received} have come`);
      return;
    }
    this.#leave();
    this.#ways.ports.giveBack(this.#port);
    if (this.#isCancelled) return;
    if (this.#isYielding) this.#listener.yielded();
    else this.#listener.end();
  }

  #fail(why: string): void {
    if (this.#isOver) return;
    this.#leave();
    this.#ways.ports.drop(this.#port);
    if (!this.#isCancelled) this.#listener.end(new CaissonError("CAISSON_E_AGENT", why));
  }

  #leave(): void {
    this.#isOver = true;
    const { stream } = this.#port;
    this.#port.wanted = undefined;
    stream.pause();
    stream.off("data", this.#onData);
    stream.off("close", this.#onClose);
  }
}
