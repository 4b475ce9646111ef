import type { ServiceError } from "@grpc/grpc-js";
import { CaissonError } from "../../../protocol/errors.ts";
import {
  type OutputNews,
  OutputState,
  type ProcessExit,
  type ProcessId,
  type ProcessNews,
} from "../../../protocol/generated/agent.ts";
import { agentError } from "../agent/agent-error.ts";
import { answerProblem } from "../agent/answers.ts";
import type { Agent } from "../agent/client.ts";

/** How much of an output comes with the news of its process: all that most programs write. */
const WANTED_BYTES = 16 * 1024;
/** And at most, with what the agent reads at a time. */
const MOST_BYTES = WANTED_BYTES + 64 * 1024;

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
    if (state === OutputState.OUTPUT_OPEN) return undefined;
    this.isOver = true;
    if (state === OutputState.OUTPUT_ENDED) this.#to.ended();
    else this.#to.held();
    return undefined;
  }

  lost(error: Lost): void {
    if (!this.isOver) this.#to.lost(error);
    this.isOver = true;
  }
}

/** What is told of a process until its end, and of its outputs, whose first bytes are handed out as they come. */
export class Following {
  /** How it ended. Rejects with a CaissonError as Agent.call() does. */
  readonly exit: Promise<ProcessExit>;
  readonly #call: ReturnType<Agent["followProcess"]>;
  readonly #stdout: Brought | undefined;
  readonly #stderr: Brought | undefined;

  constructor(agent: Agent, process: ProcessId, { stdout, stderr }: FollowedOutputs) {
    this.#stdout = stdout && new Brought(stdout);
    this.#stderr = stderr && new Brought(stderr);
    const stdoutBytes = stdout === undefined ? 0 : WANTED_BYTES;
    const stderrBytes = stderr === undefined ? 0 : WANTED_BYTES;
    this.#call = agent.followProcess({ process, stdoutBytes, stderrBytes });
    const { promise, resolve, reject } = Promise.withResolvers<ProcessExit>();
    this.exit = promise;
    const fail = (error: ServiceError | CaissonError): void => {
      reject(error instanceof CaissonError ? error : agentError("followProcess", error));
      for (const brought of [this.#stdout, this.#stderr]) brought?.lost(error);
    };
    this.#call.on("error", fail);
    this.#call.on("end", () => fail(malformed("it ended before all was told")));
    this.#call.on("data", (news: ProcessNews) => {
      const problem = this.#take(news);
      if (problem !== undefined) {
        fail(malformed(problem));
        this.#call.cancel();
      } else if (news.exit !== undefined) resolve(news.exit);
    });
  }

  /** Wants no more of its outputs. */
  end(): void {
    if (this.#stdout?.isOver === false || this.#stderr?.isOver === false) this.#call.cancel();
  }

  #take(news: ProcessNews): string | undefined {
    const problem = answerProblem("followProcess", news);
    return (
      problem ?? (news.stdout && this.#stdout?.take(news.stdout)) ?? (news.stderr && this.#stderr?.take(news.stderr))
    );
  }
}

function malformed(problem: string): CaissonError {
  return new CaissonError("CAISSON_E_AGENT", `the agent's answer to followProcess is malformed: ${problem}`);
}
