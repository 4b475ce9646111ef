import { type ClientHttp2Session, type ClientHttp2Stream, constants, type IncomingHttpHeaders } from "node:http2";
import { type ChannelInterface, type InterceptingListener, Metadata, type StatusObject, status } from "@grpc/grpc-js";
import { AgentService } from "../../../protocol/generated/agent.ts";
import { encodeFrame, FrameReader } from "./frames.ts";

export type Call = ReturnType<ChannelInterface["createCall"]>;
/** The most of a ConnectionChunk's data, bytes (protocol/agent.proto), and of what else is in a message. */
const CONNECTION_CHUNK = 64 * 1024;
const MESSAGE_OVERHEAD = 64;
type MessageContext = Parameters<Call["sendMessageWithContext"]>[0];

/** The longest of those messages of which many may be waiting for whoever takes them, bytes; others have LONGEST_MESSAGE. */
const LIMITS: Readonly<Record<string, number>> = {
  [AgentService.carryConnection.path]: CONNECTION_CHUNK + MESSAGE_OVERHEAD,
};

/** The calls that one message asks for, and one answers. */
const UNARY: ReadonlySet<string> = new Set(
  Object.values(AgentService).flatMap(({ path, requestStream, responseStream }) =>
    requestStream || responseStream ? [] : [path],
  ),
);

/**
 * An RPC on an HTTP/2 session: grpc-js's inner Call over a session that we were given instead of one it dialled
 * (gRPC over HTTP/2, "Requests" and "Responses"). Reads one message for each startRead: that is the flow control.
 */
export class Http2Call implements Call {
  readonly #session: ClientHttp2Session;
  readonly #method: string;
  readonly #isUnary: boolean;
  readonly #deadline: number;
  readonly #whyClosed: () => string;
  readonly #reader: FrameReader;
  #stream: ClientHttp2Stream | undefined;
  #listener: InterceptingListener | undefined;
  #timer: NodeJS.Timeout | undefined;
  #reads = 0;
  #ended = false;
  #trailers: IncomingHttpHeaders | undefined;
  #finished = false;

  /**
   * @param deadline Unix milliseconds, or Infinity for none.
   * @param whyClosed says why nothing can be called once the session has ended.
   */
  constructor(session: ClientHttp2Session, method: string, deadline: number, whyClosed: () => string) {
    this.#session = session;
    this.#method = method;
    this.#isUnary = UNARY.has(method);
    this.#deadline = deadline;
    this.#whyClosed = whyClosed;
    this.#reader = new FrameReader(LIMITS[method]);
  }

  start(metadata: Metadata, listener: InterceptingListener): void {
    this.#listener = listener;
    if (this.#session.destroyed || this.#session.closed) {
      setImmediate(() => this.#finish(status.UNAVAILABLE, this.#whyClosed()));
      return;
    }
    const headers: Record<string, string | string[]> = {
      ...(metadata.toHttp2Headers() as Record<string, string[]>),
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: this.#method,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
      [constants.HTTP2_HEADER_TE]: "trailers",
    };
    if (Number.isFinite(this.#deadline)) {
      const left = Math.max(0, this.#deadline - Date.now());
      // The agent is not told: its timer for each call would cost an emulated guest a millisecond, and the call ends for it when it does here.
      this.#timer = setTimeout(
        () => this.cancelWithStatus(status.DEADLINE_EXCEEDED, `no answer within ${Math.ceil(left)} ms`),
        left,
      );
    }
    const stream = this.#session.request(headers);
    this.#stream = stream;
    stream.on("response", (answer, flags) => {
      if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) this.#trailers = answer;
      else if (answer[":status"] !== 200) this.cancelWithStatus(status.INTERNAL, `HTTP status ${answer[":status"]}`);
      else this.#listener?.onReceiveMetadata(Metadata.fromHttp2Headers(answer));
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
    stream.on("error", (error) =>
      this.#finish(status.UNAVAILABLE, `the connection to the agent broke: ${error.message}`),
    );
    stream.on("close", () => {
      if (!this.#ended || !this.#reader.empty) {
        this.#finish(status.UNAVAILABLE, `the agent's stream closed early (HTTP/2 error ${stream.rstCode ?? 0})`);
      }
    });
  }

  startRead(): void {
    this.#reads += 1;
    this.#deliver();
  }

  sendMessageWithContext(context: MessageContext, message: Buffer): void {
    const stream = this.#stream;
    if (stream === undefined || this.#finished || stream.destroyed) {
      setImmediate(() => context.callback?.(null));
      return;
    }
    stream.write(encodeFrame(message), () => context.callback?.(null));
  }

  halfClose(): void {
    this.#stream?.end();
  }

  cancelWithStatus(code: status, details: string): void {
    this.#stream?.close(constants.NGHTTP2_CANCEL);
    this.#finish(code, details);
  }

  getPeer(): string {
    return "agent";
  }
  getCallNumber(): number {
    return this.#stream?.id ?? 0;
  }
  setCredentials(): void {}
  getAuthContext(): null {
    return null;
  }

  #deliver(): void {
    try {
      while (this.#reads > 0 && !this.#finished) {
        const message = this.#reader.next();
        if (message === undefined) break;
        this.#reads -= 1;
        this.#listener?.onReceiveMessage(message);
        if (this.#isUnary) this.#answered();
      }
    } catch (error) {
      this.cancelWithStatus(status.RESOURCE_EXHAUSTED, (error as Error).message);
      return;
    }
    if (this.#ended && this.#reader.empty) {
      // The trailers' event may come after "end".
      setImmediate(() => this.#finishFromTrailers());
    } else if (this.#reads === 0 && !this.#reader.empty) {
      if (this.#finished) this.#stream?.destroy();
      else this.#stream?.pause();
    } else {
      this.#stream?.resume();
    }
  }

  /** The agent answers what it has carried out: the status, which follows when the guest has got round to it, is not waited for. */
  #answered(): void {
    this.#finished = true;
    clearTimeout(this.#timer);
    this.#listener?.onReceiveStatus({ code: status.OK, details: "", metadata: new Metadata() });
  }

  #finishFromTrailers(): void {
    const trailers = this.#trailers;
    if (trailers === undefined) {
      this.#finish(status.UNAVAILABLE, "the agent ended the call without a status");
      return;
    }
    const metadata = Metadata.fromHttp2Headers(trailers);
    const code = Number(metadata.get("grpc-status")[0] ?? status.UNKNOWN);
    const details = decodeMessage(String(metadata.get("grpc-message")[0] ?? ""));
    this.#finish(code in status ? code : status.UNKNOWN, details, metadata);
  }

  #finish(code: status, details: string, metadata = new Metadata()): void {
    if (this.#finished) return;
    this.#finished = true;
    clearTimeout(this.#timer);
    this.#stream?.destroy();
    const result: StatusObject = { code, details, metadata };
    this.#listener?.onReceiveStatus(result);
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
