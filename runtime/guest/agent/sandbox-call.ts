import type { ServiceError } from "@grpc/grpc-js";
import { CaissonError } from "../../../protocol/errors.ts";
import type { AgentClient, LogRecord, OomEvent, SandboxNews } from "../../../protocol/generated/agent.ts";
import { agentError } from "./agent-error.ts";

type NewsCall = ReturnType<AgentClient["createSandbox"]>;

/** A guest that has been made a sandbox, and what is new in it. What nobody listens to is dropped. */
export class SandboxCall {
  /** Guest CLOCK_REALTIME when it was made, nanoseconds since the epoch. */
  readonly answeredNs: bigint;
  onLog: (record: LogRecord) => void = () => {};
  onOom: (event: OomEvent) => void = () => {};
  /** Resolves when no more comes. */
  readonly over: Promise<void>;

  private constructor(call: NewsCall, answeredNs: bigint) {
    this.answeredNs = answeredNs;
    call.on("data", ({ news }: SandboxNews) => {
      if (news?.$case === "log") this.onLog(news.value);
      else if (news?.$case === "oom") this.onOom(news.value);
    });
    this.over = new Promise((resolve) => call.once("error", () => resolve()).once("end", resolve));
  }

  /**
   * Waits for the answer. @param answered is told whether it was one.
   * @throws CaissonError with the agent's code and field; the signal's reason when it is aborted.
   */
  static begin(call: NewsCall, signal: AbortSignal, answered: (isFailure: boolean) => void): Promise<SandboxCall> {
    const { promise, resolve, reject } = Promise.withResolvers<SandboxCall>();
    const abort = () => call.cancel();
    const refuse = () =>
      reject(new CaissonError("CAISSON_E_AGENT", "the agent's answer to createSandbox is malformed: it is none"));
    call.on("error", (error: ServiceError) =>
      reject(signal.aborted ? signal.reason : agentError("createSandbox", error)),
    );
    call.once("end", refuse);
    call.once("data", ({ news }: SandboxNews) => {
      if (news?.$case === "created") resolve(new SandboxCall(call, news.value.answeredNs));
      else refuse();
    });
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    promise
      .finally(() => signal.removeEventListener("abort", abort))
      .then(
        () => answered(false),
        () => answered(true),
      );
    return promise;
  }
}
