import type { Duplex } from "node:stream";
import { Request, Response } from "../../protocol/generated/containerd/ttrpc.ts";
import { encodeFrame, type Frame, FrameReader, FrameType, isOversized, type OversizedFrame } from "./frames.ts";
import { StatusCode, StatusError } from "./status.ts";

export interface CallLimits {
  /** How long to wait for the answer, which the server is told, milliseconds. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

interface Pending {
  resolve(payload: Buffer): void;
  reject(error: Error): void;
}

/** The last stream id that is odd and fits 32 bits. */
const LAST_STREAM = 2 ** 32 - 1;

/** The client's side of one connection; any number of calls at once. */
export class Client implements Disposable {
  readonly #connection: Duplex;
  readonly #reader = new FrameReader();
  readonly #pending = new Map<number, Pending>();
  #nextStream = 1;
  #lost: Error | undefined;

  constructor(connection: Duplex) {
    this.#connection = connection;
    connection.on("data", (chunk: Buffer) => {
      this.#reader.push(chunk);
      for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next()) this.#receive(frame);
    });
    connection.on("error", (error) => this.#lose(error));
    connection.on("end", () => connection.destroy());
    connection.on("close", () => this.#lose());
  }

  /** Whether calls have no chance any more. */
  get closed(): boolean {
    return this.#lost !== undefined || this.#nextStream > LAST_STREAM;
  }

  /**
   * Makes one call.
   * @throws StatusError as the server answers; deadlineExceeded past the limit; unavailable when the connection ends;
   *   resourceExhausted when the request is too long. The signal's reason.
   */
  async call(service: string, method: string, payload: Uint8Array, limits: CallLimits = {}): Promise<Buffer> {
    const { timeoutMs, signal } = limits;
    signal?.throwIfAborted();
    if (this.closed) throw this.#unavailable(service, method);
    const request = Request.encode({
      service,
      method,
      payload: Buffer.from(payload),
      timeoutNano: timeoutMs === undefined ? 0n : BigInt(Math.ceil(timeoutMs * 1e6)),
      metadata: [],
    }).finish();
    const stream = this.#nextStream;
    const frame = encodeRequest(stream, Buffer.from(request));
    this.#nextStream += 2;
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    this.#pending.set(stream, { resolve, reject });
    const abort = () => reject(signal?.reason as Error);
    signal?.addEventListener("abort", abort, { once: true });
    const late = () =>
      reject(
        new StatusError(StatusCode.deadlineExceeded, `${service}/${method} was not answered within ${timeoutMs} ms`),
      );
    const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs);
    this.#connection.write(frame);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      this.#pending.delete(stream);
    }
  }

  /** Ends the connection; calls at work fail. */
  close(): void {
    this.#connection.destroy();
    this.#lose();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #receive(frame: Frame | OversizedFrame): void {
    const pending = this.#pending.get(frame.stream);
    // An answer that nobody waits for any more.
    if (pending === undefined || frame.type !== FrameType.response) return;
    if (isOversized(frame)) {
      pending.reject(new StatusError(StatusCode.resourceExhausted, `the answer has ${frame.length} bytes`));
      return;
    }
    let response: Response;
    try {
      response = Response.decode(frame.data);
    } catch (cause) {
      pending.reject(new StatusError(StatusCode.internal, "the answer cannot be read", { cause }));
      return;
    }
    const { status, payload } = response;
    if (status === undefined || status.code === StatusCode.ok) pending.resolve(payload);
    else pending.reject(new StatusError(status.code, status.message));
  }

  #lose(cause: Error = new Error("the connection was closed")): void {
    this.#lost ??= cause;
    for (const { reject } of this.#pending.values()) {
      reject(new StatusError(StatusCode.unavailable, `the connection has ended: ${cause.message}`, { cause }));
    }
    this.#pending.clear();
  }

  #unavailable(service: string, method: string): StatusError {
    const why = this.#lost?.message ?? "all its stream ids are used";
    return new StatusError(StatusCode.unavailable, `${service}/${method} cannot be called on this connection: ${why}`, {
      cause: this.#lost,
    });
  }
}

function encodeRequest(stream: number, data: Buffer): Buffer {
  try {
    return encodeFrame({ stream, type: FrameType.request, flags: 1, data });
  } catch (cause) {
    throw new StatusError(StatusCode.resourceExhausted, (cause as Error).message, { cause });
  }
}
