import type { ServiceError } from "@grpc/grpc-js";
import { CaissonError } from "../../../protocol/errors.ts";
import type { OutputNews, OutputState, ProcessExit, ProcessNews } from "../../../protocol/generated/agent.ts";
import type { AgentCalls } from "../../metrics/agent-calls.ts";
import { now } from "../../process/clock.ts";
import { agentError } from "../agent/agent-error.ts";
import { answerProblem } from "../agent/answers.ts";
import type { Agent } from "../agent/client.ts";

/** How much of an output comes with the news of its process: all that most programs write. */
const WANTED_BYTES = 16 * 1024;
/** And at most, with what the agent reads at a time. */
const MOST_BYTES = WANTED_BYTES + 64 * 1024;

/** By its number: the generated code itself would bring gRPC, which is not to be loaded before there is an agent (agent/connect.ts). */
const OPEN: OutputState.OUTPUT_OPEN = 0;
const ENDED: OutputState.OUTPUT_ENDED = 1;

/** Why no more comes, as gRPC has it where it is gRPC's. */
export type Lost = Error & { code?: unknown; details?: string };

/** Who gets an output of a process. */
export interface FollowedOutput {
  data(chunk: Buffer): void;
  ended(): void;
  /** The rest waits for ReadOutput. */
  held(): void;
  /** No more comes. */
  lost(error: Lost): void;
}

export interface FollowedOutputs {
  stdout?: FollowedOutput | undefined;
  stderr?: FollowedOutput | undefined;
}

/** An output, as far as it comes with the news. */
class Brought {
  readonly #to: FollowedOutput;
  #bytes = 0;
  isOver = false;

  constructor(to: FollowedOutput) {
    this.#to = to;
  }

  /** @returns what is wrong with it, as the end of a sentence. */
  take({ data, state }: OutputNews): string | undefined {
    if (this.isOver) return "an output is told after its end";
    this.#bytes += data.length;
    if (this.#bytes > MOST_BYTES) return `${this.#bytes} bytes of an output are told`;
    if (data.length > 0) this.#to.data(data);
    if (state === OPEN) return undefined;
    this.isOver = true;
    if (state === ENDED) this.#to.ended();
    else this.#to.held();
    return undefined;
  }

  lost(error: Lost): void {
    if (!this.isOver) this.#to.lost(error);
    this.isOver = true;
  }
}

/** How many bytes of each output are asked for. */
export function wantedOf({ stdout, stderr }: { stdout?: unknown; stderr?: unknown }) {
  const bytesOf = (sink: unknown) => (sink === undefined ? 0 : WANTED_BYTES);
  return { stdoutBytes: bytesOf(stdout), stderrBytes: bytesOf(stderr) };
}

type NewsCall = ReturnType<Agent["createContainer"] | Agent["execProcess"]>;
type NewsName = "createContainer" | "execProcess";

/** 24 days: a timer of Node's that is set to more is over at once. A longer limit is none. */
const LONGEST_LIMIT_MS = 2 ** 31 - 1;

/** What is told of a process until its end, and of its outputs, whose first bytes are handed out as they come. */
export class Following {
  /** How it ended. Rejects with a CaissonError as Agent.call() does. */
  readonly exit: Promise<ProcessExit>;
  readonly #fail: (error: ServiceError | CaissonError) => void;
  readonly #resolve: (exit: ProcessExit) => void;
  readonly #call: NewsCall;
  readonly #name: NewsName;
  #stdout: Brought | undefined;
  #stderr: Brought | undefined;
  #failure: Lost | undefined;

  /** Nothing is taken before attach(). */
  constructor(call: NewsCall, name: NewsName) {
    this.#call = call;
    this.#name = name;
    const { promise, resolve, reject } = Promise.withResolvers<ProcessExit>();
    this.exit = promise;
    this.#resolve = resolve;
    this.#fail = (error) => {
      this.#failure ??= error;
      reject(error instanceof CaissonError ? error : agentError(name, error));
      for (const brought of [this.#stdout, this.#stderr]) brought?.lost(error);
    };
    call.on("error", this.#fail);
    call.on("end", () => this.#fail(this.#malformed("it ended before all was told")));
  }

  /**
   * Waits for the first message. @param calls is told how long that took.
   * @returns it: the process is there. @throws CaissonError as Agent.call().
   */
  async added(calls: AgentCalls, timeoutMs = Number.POSITIVE_INFINITY): Promise<ProcessNews> {
    const { promise, resolve, reject } = Promise.withResolvers<ProcessNews>();
    this.exit.catch(reject);
    const limit = timeoutMs > LONGEST_LIMIT_MS ? undefined : setTimeout(() => this.#expire(timeoutMs), timeoutMs);
    this.#call.once("data", (news: ProcessNews) => {
      this.#call.pause();
      const problem = answerProblem(this.#name, news);
      if (problem === undefined) resolve(news);
      else this.#refuse(problem);
    });
    const asked = now();
    let isFailure = true;
    try {
      const first = await promise;
      isFailure = false;
      return first;
    } finally {
      clearTimeout(limit);
      calls.add(this.#name, (now() - asked) / 1000, isFailure);
    }
  }

  /** Hands out what has come, and what comes. */
  attach({ stdout, stderr }: FollowedOutputs): this {
    this.#stdout = stdout && new Brought(stdout);
    this.#stderr = stderr && new Brought(stderr);
    if (this.#failure !== undefined) this.#fail(this.#failure as CaissonError);
    this.#call.on("data", (news: ProcessNews) => {
      const problem = this.#take(news);
      if (problem !== undefined) this.#refuse(problem);
      else if (news.exit !== undefined) this.#resolve(news.exit);
    });
    this.#call.resume();
    return this;
  }

  /** Wants no more of its outputs. */
  end(): void {
    if (this.#stdout?.isOver === false || this.#stderr?.isOver === false) this.#call.cancel();
  }

  #take(news: ProcessNews): string | undefined {
    const problem = answerProblem("processNews", news);
    return (
      problem ?? (news.stdout && this.#stdout?.take(news.stdout)) ?? (news.stderr && this.#stderr?.take(news.stderr))
    );
  }

  #refuse(problem: string): void {
    this.#fail(this.#malformed(problem));
    this.#call.cancel();
  }

  #expire(timeoutMs: number): void {
    const why = `the agent did not answer ${this.#name}: no answer within ${timeoutMs} ms`;
    this.#fail(new CaissonError("CAISSON_E_TIMEOUT", why));
    this.#call.cancel();
  }

  #malformed(problem: string): CaissonError {
    return new CaissonError("CAISSON_E_AGENT", `the agent's answer to ${this.#name} is malformed: ${problem}`);
  }
}
