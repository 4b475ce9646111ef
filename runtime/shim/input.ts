import { PassThrough, type Readable } from "node:stream";
import { type FifoInput, openFifoInput } from "./fifo.ts";

/** A process's standard input, which comes from a FIFO once the process is to be started, or is empty. */
export class LateInput {
  readonly #path: string | undefined;
  readonly #stream = new PassThrough();
  #fifo: FifoInput | undefined;
  #mayEnd = false;

  constructor(path: string | undefined) {
    this.#path = path;
    if (path === undefined) this.#stream.end();
  }

  get stream(): Readable {
    return this.#stream;
  }

  /**
   * Opens the FIFO. Not before the process is to be started: a client may write all it has, and end, as soon as there is a
   * reader, and can say so (CloseIO) only when it has the answer that the process is created.
   */
  open(): void {
    if (this.#path === undefined || this.#fifo !== undefined || this.#stream.destroyed) return;
    const fifo = openFifoInput(this.#path);
    this.#fifo = fifo;
    if (this.#mayEnd) fifo.letEnd();
    fifo.stream.once("error", (error) => this.#stream.destroy(error));
    this.#stream.once("close", () => fifo.stream.destroy());
    fifo.stream.pipe(this.#stream);
  }

  /** Lets the input end once the FIFO's writers are gone. */
  letEnd(): void {
    this.#mayEnd = true;
    this.#fifo?.letEnd();
  }
}
