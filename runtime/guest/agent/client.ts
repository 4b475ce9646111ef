import type { Duplex } from "node:stream";
import {
  type CallOptions,
  type ClientWritableStream,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceError,
} from "@grpc/grpc-js";
import { CaissonError } from "../../../protocol/errors.ts";
import {
  AgentService,
  type CreateContainerRequest,
  type CreateSandboxRequest,
  type ExecProcessRequest,
  AgentClient as GeneratedClient,
  type ProcessId,
  type ServeSocketRequest,
  Stream,
  type WriteStdinRequest,
} from "../../../protocol/generated/agent.ts";
import { AgentCalls } from "../../metrics/agent-calls.ts";
import { now } from "../../process/clock.ts";
import { agentError } from "./agent-error.ts";
import { answerProblem } from "./answers.ts";
import { AgentChannel } from "./channel.ts";
import { SandboxCall } from "./sandbox-call.ts";

export interface CallLimits {
  /** How long to wait for the answer, milliseconds; without it the call waits until the connection ends. */
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** A connection to one agent. Its calls are the RPCs of protocol/agent.proto, as promises, with CaissonErrors. */
export class Agent {
  readonly #channel: AgentChannel;
  readonly #client: GeneratedClient;
  /** How long each call took. */
  readonly calls = new AgentCalls();

  constructor(connection: Duplex) {
    this.#channel = new AgentChannel(connection);
    this.#client = new GeneratedClient("agent", credentials.createInsecure(), { channelOverride: this.#channel });
  }

  /** Resolves when the connection has ended. */
  get closed(): Promise<void> {
    return this.#channel.closed;
  }

  close(): void {
    this.#channel.close();
  }

  /**
   * Makes one unary call, e.g. `agent.call("startContainer", { containerId })`.
   * @throws CaissonError with the agent's code and field; CAISSON_E_TIMEOUT past the limit; CAISSON_E_AGENT when the connection broke,
   *   or the answer is not what agent.proto promises.
   */
  call<Name extends UnaryName>(
    name: Name,
    request: RequestOf<Name>,
    limits: CallLimits = {},
  ): Promise<ResponseOf<Name>> {
    const method = AgentService[name] as unknown as MethodDefinition<RequestOf<Name>, ResponseOf<Name>>;
    return new Promise((resolve, reject) => {
      const { signal } = limits;
      if (signal?.aborted) return reject(signal.reason);
      const asked = now();
      const answered = (error: ServiceError | null, response?: ResponseOf<Name>) => {
        signal?.removeEventListener("abort", abort);
        if (name !== ENDLESS) this.calls.add(name, (now() - asked) / 1000, error !== null);
        const problem = error ? undefined : answerProblem(name, response);
        if (error) reject(signal?.aborted ? signal.reason : agentError(name, error));
        else if (problem !== undefined) reject(malformed(name, problem));
        else resolve(response as ResponseOf<Name>);
      };
      const { path, requestSerialize, responseDeserialize } = method;
      const call = this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        new Metadata(),
        deadline(limits),
        answered,
      );
      const abort = () => call.cancel();
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  /** Makes a container, and tells what becomes of its init. */
  createContainer(request: CreateContainerRequest): ReturnType<GeneratedClient["createContainer"]> {
    return this.#client.createContainer(request);
  }

  /** Adds a process, and tells what becomes of it. */
  execProcess(request: ExecProcessRequest): ReturnType<GeneratedClient["execProcess"]> {
    return this.#client.execProcess(request);
  }

  /** What a process writes, as a stream of messages. Cancel it with `cancel()`; failures come as CaissonErrors through `agentError`. */
  readOutput(process: ProcessId, output: "stdout" | "stderr"): ReturnType<GeneratedClient["readOutput"]> {
    const stream = output === "stdout" ? Stream.STREAM_STDOUT : Stream.STREAM_STDERR;
    return this.#client.readOutput({ process, stream });
  }

  /** A stream to a process's stdin; `done` settles when the agent has taken all of it, or refused. */
  writeStdin(): { stream: ClientWritableStream<WriteStdinRequest>; done: Promise<void> } {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const stream = this.#client.writeStdin((error) => (error ? reject(agentError("writeStdin", error)) : resolve()));
    return { stream, done: promise };
  }

  /** Connections to a socket of the guest's, as they are made. */
  serveSocket(request: ServeSocketRequest): ReturnType<GeneratedClient["serveSocket"]> {
    return this.#client.serveSocket(request);
  }

  /** The bytes of one of them, both ways. */
  carryConnection(): ReturnType<GeneratedClient["carryConnection"]> {
    return this.#client.carryConnection();
  }

  /**
   * Makes the guest a sandbox.
   * @throws as call() does.
   */
  createSandbox(request: CreateSandboxRequest, signal: AbortSignal): Promise<SandboxCall> {
    const asked = now();
    return SandboxCall.begin(this.#client.createSandbox(request), signal, (isFailure) =>
      this.calls.add("createSandbox", (now() - asked) / 1000, isFailure),
    );
  }
}

/** This answers when an output ends, which says nothing of the agent. */
const ENDLESS = "awaitOutput";

type Service = typeof AgentService;
export type UnaryName = {
  [Name in keyof Service]: Service[Name] extends { requestStream: false; responseStream: false } ? Name : never;
}[keyof Service];
export type RequestOf<Name extends UnaryName> = Parameters<Service[Name]["requestSerialize"]>[0];
export type ResponseOf<Name extends UnaryName> = ReturnType<Service[Name]["responseDeserialize"]>;

/** 24 days: a timer of Node's that is set to more is over at once. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** A longer limit is none. */
function deadline({ timeoutMs }: CallLimits): Partial<CallOptions> {
  return timeoutMs === undefined || timeoutMs > LONGEST_TIMEOUT_MS ? {} : { deadline: Date.now() + timeoutMs };
}

function malformed(call: string, problem: string): CaissonError {
  return new CaissonError("CAISSON_E_AGENT", `the agent's answer to ${call} is malformed: ${problem}`);
}
