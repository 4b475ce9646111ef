import type { ClientHttp2Session } from "node:http2";
import type { Duplex } from "node:stream";
import { CaissonError, ERROR_CODES, type ErrorCode } from "../../protocol/errors.ts";
import {
  AgentService,
  type Event,
  type LogRecord,
  type OutputChunk,
  type ProcessId,
  Stream,
  type WriteStdinRequest,
} from "../../protocol/generated/agent.ts";
import { Call, type CallEnd, type CallListener, status } from "./call.ts";
import { printable } from "./printable.ts";
import { openSession } from "./session.ts";
import { AnswerStream, RequestStream } from "./streams.ts";

export interface CallLimits {
  /** How long to wait for the answer, milliseconds; without it the call waits until the connection ends. */
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * A connection to one agent: a client of gRPC over the HTTP/2 session of that connection. Its calls are the RPCs of
 * protocol/agent.proto, as promises, with CaissonErrors. It never reconnects: a sandbox has one connection, and when that
 * ends the sandbox does.
 */
export class Agent {
  readonly #session: ClientHttp2Session;
  /** Resolves when the connection has ended, whatever ended it. */
  readonly closed: Promise<void>;

  constructor(connection: Duplex) {
    this.#session = openSession(connection);
    this.closed = new Promise((resolve) => this.#session.once("close", () => resolve()));
  }

  close(): void {
    this.#session.destroy();
  }

  /**
   * Makes one unary call, e.g. `agent.call("startContainer", { containerId })`.
   * @throws CaissonError with the agent's code and field; CAISSON_E_TIMEOUT past the limit; CAISSON_E_AGENT when the connection broke.
   */
  call<Name extends UnaryName>(
    name: Name,
    request: RequestOf<Name>,
    { timeoutMs, signal }: CallLimits = {},
  ): Promise<ResponseOf<Name>> {
    const method = AgentService[name] as unknown as Method<RequestOf<Name>, ResponseOf<Name>>;
    if (signal?.aborted) return Promise.reject(signal.reason);
    const { promise, resolve, reject } = Promise.withResolvers<ResponseOf<Name>>();
    const message = method.requestSerialize(request);
    const call = new Call(
      this.#session,
      method.path,
      oneAnswer(name, method.responseDeserialize, resolve, (error) => reject(signal?.aborted ? signal.reason : error)),
      timeoutMs,
    );
    call.read();
    call.end(message);
    if (signal === undefined) return promise;
    const abort = () => call.cancel();
    signal.addEventListener("abort", abort, { once: true });
    return promise.finally(() => signal.removeEventListener("abort", abort));
  }

  /** What a process writes, as a stream of messages. Cancel it with `cancel()`; it fails with CaissonErrors. */
  readOutput(process: ProcessId, output: "stdout" | "stderr"): AnswerStream<OutputChunk> {
    const stream = output === "stdout" ? Stream.STREAM_STDOUT : Stream.STREAM_STDERR;
    return this.#stream("readOutput", AgentService.readOutput, { process, stream });
  }

  /** A stream to a process's stdin; `done` settles when the agent has taken all of it, or refused. */
  writeStdin(): { stream: RequestStream<WriteStdinRequest>; done: Promise<void> } {
    const { path, requestSerialize, responseDeserialize } = AgentService.writeStdin;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const listener = oneAnswer("writeStdin", responseDeserialize, () => resolve(), reject);
    const call = new Call(this.#session, path, listener);
    call.read();
    return { stream: new RequestStream(call, requestSerialize), done: promise };
  }

  watchLog(): AnswerStream<LogRecord> {
    return this.#stream("watchLog", AgentService.watchLog, {});
  }

  watchEvents(): AnswerStream<Event> {
    return this.#stream("watchEvents", AgentService.watchEvents, {});
  }

  #stream<Request, Response>(
    name: string,
    { path, requestSerialize, responseDeserialize }: Method<Request, Response>,
    request: Request,
  ): AnswerStream<Response> {
    const start = (listener: CallListener) => {
      const call = new Call(this.#session, path, listener);
      call.end(requestSerialize(request));
      return call;
    };
    return new AnswerStream(start, responseDeserialize, (end) => agentError(name, end));
  }
}

/** Settles with the one message that the answer consists of, once the call has ended well. */
function oneAnswer<Response>(
  name: string,
  decode: (data: Buffer) => Response,
  resolve: (response: Response) => void,
  reject: (error: unknown) => void,
): CallListener {
  const answers: Buffer[] = [];
  return {
    message: (data) => {
      if (answers.push(data) > 1) throw new Error("more than one answer");
      return true;
    },
    ended: (end) => {
      const [answer] = answers;
      if (end.code !== status.ok) return reject(agentError(name, end));
      if (answer === undefined) return reject(agentError(name, { ...end, details: "it ended without an answer" }));
      try {
        resolve(decode(answer));
      } catch (error) {
        reject(agentError(name, { ...end, details: `its answer cannot be read: ${(error as Error).message}` }));
      }
    },
  };
}

interface Method<Request, Response> {
  path: string;
  requestSerialize: (request: Request) => Buffer;
  responseDeserialize: (data: Buffer) => Response;
}
type Service = typeof AgentService;
type UnaryName = {
  [Name in keyof Service]: Service[Name] extends { requestStream: false; responseStream: false } ? Name : never;
}[keyof Service];
type RequestOf<Name extends UnaryName> = Parameters<Service[Name]["requestSerialize"]>[0];
type ResponseOf<Name extends UnaryName> = ReturnType<Service[Name]["responseDeserialize"]>;

/** Turns a failed call into the error it stands for. What the guest says is only believed where it has the right form. */
function agentError(call: string, end: CallEnd): CaissonError {
  const said = end.trailers["caisson-code"];
  const field = end.trailers["caisson-field"];
  const details = printable(end.details);
  if ((ERROR_CODES as readonly unknown[]).includes(said)) {
    return new CaissonError(said as ErrorCode, details, {
      ...(typeof field === "string" ? { field: printable(field) } : {}),
    });
  }
  if (end.code === status.deadlineExceeded) {
    return new CaissonError("CAISSON_E_TIMEOUT", `the agent did not answer ${call}: ${details}`);
  }
  return new CaissonError("CAISSON_E_AGENT", `the agent could not carry out ${call}: ${details}`);
}
