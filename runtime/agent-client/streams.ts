/** RPCs whose messages come or go one after the other, as Node's streams of objects. */
import { Readable, Writable } from "node:stream";
import { type Call, type CallEnd, type CallListener, status } from "./call.ts";

/** The messages of an answer; fails with what `toError` makes of the call's end. Destroying it cancels the call. */
export class AnswerStream<Message> extends Readable {
  readonly #call: Call;

  constructor(
    start: (listener: CallListener) => Call,
    decode: (data: Buffer) => Message,
    toError: (end: CallEnd) => Error,
  ) {
    super({ objectMode: true });
    this.#call = start({
      message: (data) => this.push(decode(data)),
      ended: (end) => {
        if (end.code === status.ok) this.push(null);
        else this.destroy(toError(end));
      },
    });
  }

  /** Ends the call; the stream fails with that. */
  cancel(): void {
    this.#call.cancel();
  }

  override _read(): void {
    this.#call.read();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#call.cancel();
    done(error);
  }
}

/** The messages of a request. Once the call has ended, what is written is dropped. */
export class RequestStream<Message> extends Writable {
  readonly #call: Call;
  readonly #encode: (message: Message) => Uint8Array;

  constructor(call: Call, encode: (message: Message) => Uint8Array) {
    super({ objectMode: true });
    this.#call = call;
    this.#encode = encode;
  }

  override _write(message: Message, _encoding: string, done: () => void): void {
    this.#call.send(this.#encode(message), done);
  }

  override _final(done: () => void): void {
    this.#call.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.writableFinished) this.#call.cancel();
    done(error);
  }
}
