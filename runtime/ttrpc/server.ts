import type { Duplex } from "node:stream";
import { type KeyValue, Request, Response } from "../../protocol/generated/containerd/ttrpc.ts";
import {
  encodeFrame,
  type Frame,
  FrameReader,
  FrameType,
  isOversized,
  MAX_DATA,
  type OversizedFrame,
} from "./frames.ts";
import { StatusCode, StatusError } from "./status.ts";

export interface CallContext {
  /** Aborts when the caller's deadline has passed or its connection has ended. */
  signal: AbortSignal;
  metadata: readonly KeyValue[];
}

export type Method = (payload: Buffer, context: CallContext) => Promise<Uint8Array>;

/** Methods by their names, by their service's name. */
export type Services = Readonly<Record<string, Readonly<Record<string, Method>>>>;

/** Calls of one connection that may be at work at the same time. */
const MAX_CALLS = 4096;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Answers the calls of one connection, each as soon as its method is done, until the connection ends. A client that does
 * not read its answers is not read from, either.
 */
export function serve(connection: Duplex, services: Services): void {
  new ServerConnection(connection, services);
}

class ServerConnection {
  readonly #connection: Duplex;
  readonly #services: Services;
  readonly #reader = new FrameReader();
  readonly #ended = new AbortController();
  #calls = 0;
  #lastStream = 0;

  constructor(connection: Duplex, services: Services) {
    this.#connection = connection;
    this.#services = services;
    connection.on("data", (chunk: Buffer) => {
      this.#reader.push(chunk);
      for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next()) this.#receive(frame);
    });
    connection.on("error", () => connection.destroy());
    connection.on("close", () => this.#ended.abort());
    connection.on("drain", () => connection.resume());
  }

  #receive(frame: Frame | OversizedFrame): void {
    const { stream } = frame;
    const refusal = this.#refusal(frame);
    if (refusal !== undefined) {
      this.#respond(stream, failure(refusal));
    } else if (!isOversized(frame) && frame.type === FrameType.request) {
      this.#lastStream = stream;
      this.#calls += 1;
      void this.#answer(frame.data).then((response) => {
        this.#calls -= 1;
        this.#respond(stream, response);
      });
    }
    // Other types are of a later protocol, and PROTOCOL.md wants them ignored.
  }

  #refusal(frame: Frame | OversizedFrame): StatusError | undefined {
    const { stream, type } = frame;
    const { resourceExhausted, invalidArgument } = StatusCode;
    if (isOversized(frame)) {
      return new StatusError(resourceExhausted, `a message of ${frame.length} bytes is longer than ${MAX_DATA}`);
    }
    if (type !== FrameType.request && type !== FrameType.data) return undefined;
    if (stream % 2 !== 1) return new StatusError(invalidArgument, `a client's stream id is odd, and ${stream} is not`);
    if (type === FrameType.data) return new StatusError(invalidArgument, `there is no stream ${stream}`);
    if (stream <= this.#lastStream) {
      return new StatusError(invalidArgument, `stream ids must grow, and ${stream} follows ${this.#lastStream}`);
    }
    if (this.#calls < MAX_CALLS) return undefined;
    return new StatusError(resourceExhausted, `${MAX_CALLS} calls of this connection are at work already`);
  }

  async #answer(data: Buffer): Promise<Buffer> {
    try {
      const { service, method, payload, timeoutNano, metadata } = decodeRequest(data);
      const methods = Object.hasOwn(this.#services, service) ? this.#services[service] : undefined;
      const called = methods !== undefined && Object.hasOwn(methods, method) ? methods[method] : undefined;
      if (called === undefined)
        throw new StatusError(StatusCode.unimplemented, `there is no method ${service}/${method}`);
      using deadline = new Deadline(timeoutNano);
      const signal = AbortSignal.any([this.#ended.signal, deadline.signal]);
      const result = await Promise.race([called(payload, { signal, metadata }), deadline.passed]);
      const response = encodeResponse({ status: undefined, payload: Buffer.from(result) });
      if (response.length <= MAX_DATA) return response;
      throw new StatusError(
        StatusCode.resourceExhausted,
        `the answer to ${service}/${method} has ${response.length} bytes, more than ${MAX_DATA}`,
      );
    } catch (error) {
      return failure(error);
    }
  }

  #respond(stream: number, data: Buffer): void {
    if (this.#connection.destroyed || this.#connection.writableEnded) return;
    const room = this.#connection.write(encodeFrame({ stream, type: FrameType.response, flags: 0, data }));
    if (!room) this.#connection.pause();
  }
}

/** The time a caller has left; without one it never passes. */
class Deadline {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout | undefined;
  readonly passed: Promise<never>;

  constructor(timeoutNano: bigint) {
    const { promise, reject } = Promise.withResolvers<never>();
    this.passed = promise;
    promise.catch(() => {});
    const ms = Number(timeoutNano) / 1e6;
    if (timeoutNano === 0n || ms > LONGEST_TIMER_MS) return;
    this.#timer = setTimeout(
      () => {
        const error = new StatusError(StatusCode.deadlineExceeded, `the call took longer than ${Math.round(ms)} ms`);
        this.#controller.abort(error);
        reject(error);
      },
      Math.max(0, ms),
    );
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

function decodeRequest(data: Buffer): Request {
  try {
    return Request.decode(data);
  } catch (cause) {
    throw new StatusError(StatusCode.invalidArgument, `the request cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** Statuses have no use for more of a message than people read. */
const LONGEST_MESSAGE = 64 * 1024;

function failure(error: unknown): Buffer {
  const code = error instanceof StatusError ? error.code : StatusCode.unknown;
  const message = (error instanceof Error ? error.message : String(error)).slice(0, LONGEST_MESSAGE);
  return encodeResponse({ status: { code, message, details: [] }, payload: Buffer.alloc(0) });
}

function encodeResponse(response: Response): Buffer {
  return Buffer.from(Response.encode(response).finish());
}
