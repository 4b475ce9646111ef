import { type ClientHttp2Session, type ClientHttp2Stream, constants, type IncomingHttpHeaders } from "node:http2";
import { encodeFrame, FrameReader } from "./frames.ts";

/** The status codes of gRPC that mean something here (gRPC, "Status codes and their use"). */
export const status = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  deadlineExceeded: 4,
  internal: 13,
  unavailable: 14,
} as const;

/** What a `grpc-timeout` can hold in milliseconds: eight digits, a day. A longer limit is none. */
const LONGEST_TIMEOUT_MS = 99_999_999;

/** How a call ended. */
export interface CallEnd {
  /** gRPC's status code. */
  code: number;
  details: string;
  trailers: IncomingHttpHeaders;
}

export interface CallListener {
  /** One message of the answer; what it throws ends the call. @returns whether the next one is wanted at once, else after read(). */
  message(data: Buffer): boolean;
  /** Called once, after the last message. */
  ended(end: CallEnd): void;
}

/**
 * One RPC on an HTTP/2 session (gRPC over HTTP/2, "Requests" and "Responses"). It takes no message off the session that was
 * not asked for: that is the flow control.
 */
export class Call {
  readonly #listener: CallListener;
  readonly #reader = new FrameReader();
  readonly #stream: ClientHttp2Stream | undefined;
  readonly #timer: NodeJS.Timeout | undefined;
  #wanted = false;
  #ended = false;
  #trailers: IncomingHttpHeaders | undefined;
  #finished = false;

  /**
   * Starts the call.
   * @param method `/package.Service/Method`.
   * @param timeoutMs how long it may take; the other side is told, too.
   */
  constructor(session: ClientHttp2Session, method: string, listener: CallListener, timeoutMs?: number) {
    this.#listener = listener;
    if (session.destroyed || session.closed) {
      setImmediate(() => this.#finish(status.unavailable, "the connection to the agent is closed"));
      return;
    }
    const headers: Record<string, string> = {
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: method,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
      [constants.HTTP2_HEADER_TE]: "trailers",
    };
    if (timeoutMs !== undefined && timeoutMs <= LONGEST_TIMEOUT_MS) {
      headers["grpc-timeout"] = `${Math.ceil(timeoutMs)}m`;
      const late = () => this.fail(status.deadlineExceeded, `no answer within ${Math.ceil(timeoutMs)} ms`);
      this.#timer = setTimeout(late, timeoutMs);
    }
    this.#stream = this.#watch(session.request(headers));
  }

  /** Wants one message more. */
  read(): void {
    this.#wanted = true;
    this.#deliver();
  }

  /** Sends a message; `done` is called when there is room for the next. What comes after the call's end is dropped. */
  send(message: Uint8Array, done?: () => void): void {
    if (this.#isOpen) this.#stream?.write(encodeFrame(message), done);
    else if (done !== undefined) setImmediate(done);
  }

  /** Sends the last message, if one is given, and that there are no more. */
  end(message?: Uint8Array): void {
    if (!this.#isOpen) return;
    if (message === undefined) this.#stream?.end();
    else this.#stream?.end(encodeFrame(message));
  }

  /** Ends the call, if it has not ended. */
  cancel(): void {
    this.fail(status.cancelled, "cancelled");
  }

  /** Ends the call for a reason of ours. */
  fail(code: number, details: string): void {
    if (this.#finished) return;
    this.#stream?.close(constants.NGHTTP2_CANCEL);
    this.#finish(code, details);
  }

  get #isOpen(): boolean {
    return !this.#finished && this.#stream?.destroyed === false;
  }

  #watch(stream: ClientHttp2Stream): ClientHttp2Stream {
    stream.on("response", (answer, flags) => {
      if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) this.#trailers = answer;
      else if (answer[":status"] !== 200) this.fail(status.internal, `HTTP status ${answer[":status"]}`);
    });
    stream.on("trailers", (trailers) => {
      this.#trailers = trailers;
    });
    stream.on("data", (chunk: Buffer) => {
      this.#reader.push(chunk);
      this.#deliver();
    });
    stream.on("end", () => {
      this.#ended = true;
      this.#deliver();
    });
    stream.on("error", ({ message }) =>
      this.#finish(status.unavailable, `the connection to the agent broke: ${message}`),
    );
    stream.on("close", () => {
      if (this.#ended && this.#reader.empty) return;
      this.#finish(status.unavailable, `the agent's stream closed early (HTTP/2 error ${stream.rstCode ?? 0})`);
    });
    return stream;
  }

  #deliver(): void {
    try {
      while (this.#wanted && !this.#finished) {
        const message = this.#reader.next();
        if (message === undefined) break;
        this.#wanted = false;
        this.#wanted = this.#listener.message(message) || this.#wanted;
      }
    } catch (error) {
      this.fail(status.internal, (error as Error).message);
      return;
    }
    if (this.#ended && this.#reader.empty) {
      // The trailers' event may come after "end".
      setImmediate(() => this.#finishFromTrailers());
    } else if (!this.#wanted && !this.#reader.empty) {
      this.#stream?.pause();
    } else {
      this.#stream?.resume();
    }
  }

  #finishFromTrailers(): void {
    const trailers = this.#trailers;
    if (trailers === undefined) {
      this.#finish(status.unavailable, "the agent ended the call without a status");
      return;
    }
    const said = trailers["grpc-status"];
    const code = typeof said === "string" && /^\d{1,2}$/.test(said) ? Number(said) : status.unknown;
    this.#finish(code, decodeMessage(String(trailers["grpc-message"] ?? "")), trailers);
  }

  #finish(code: number, details: string, trailers: IncomingHttpHeaders = {}): void {
    if (this.#finished) return;
    this.#finished = true;
    clearTimeout(this.#timer);
    this.#stream?.destroy();
    this.#listener.ended({ code, details, trailers });
  }
}

/** grpc-message is percent-encoded (gRPC over HTTP/2, "Percent-Encoded"); bad encoding is shown as it came. */
function decodeMessage(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
