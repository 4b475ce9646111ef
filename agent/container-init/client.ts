import { closeSync } from "node:fs";
import { pipe, recvFd, socketpair, spawnProgram } from "../../native/posix/index.ts";
import { PollStream } from "../../native/vsock/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { log } from "../log.ts";
import { decodeReport, encodeContinue, encodePlan, type Report } from "./codec.ts";
import { reapSoon } from "./reaper.ts";
import { describeFailure } from "./step-error.ts";
import type { Plan } from "./steps.ts";

/** How a process ended. */
export interface Exit {
  /** 0 to 255; 128 + the signal's number when a signal ended it. */
  exitCode: number;
  /** 0 when no signal did. */
  signal: number;
}

const KILLED: Exit = { exitCode: 137, signal: 9 };
/** What a shell says for a command that could not be run, and runc for everything else. */
const START_FAILURES: Partial<Record<string, number>> = {
  CAISSON_E_COMMAND_NOT_FOUND: 127,
  CAISSON_E_COMMAND_NOT_EXECUTABLE: 126,
};

interface Waiter {
  resolve(pid: number): void;
  reject(error: unknown): void;
}

/**
 * A container-init process: it is started without a plan, carries out the one it is given, stays as the parent of the
 * process it made, and reports how that ended (native/container-init/README.md).
 */
export class ContainerInitClient {
  /** The agent's ends of the process's stdio; whoever takes the client closes them. */
  readonly stdin: number;
  readonly stdout: number;
  readonly stderr: number;
  /** Resolves when the process has ended. Its pid stays taken until close(). */
  readonly exited: Promise<Exit>;
  readonly #resolveExit: (exit: Exit) => void;
  readonly #pid: number | undefined;
  readonly #channel: PollStream;
  readonly #terminalSocket: number;
  #received: Buffer = Buffer.alloc(0);
  #plan: Plan | undefined;
  #waiter: Waiter | undefined;
  #ended = false;
  #closed = false;

  constructor(program: string) {
    const { promise, resolve } = Promise.withResolvers<Exit>();
    this.exited = promise;
    this.#resolveExit = resolve;
    const [stdin, toStdin] = pipe();
    const [fromStdout, stdout] = pipe();
    const [fromStderr, stderr] = pipe();
    const [channel, itsChannel] = socketpair();
    const [terminalSocket, itsTerminalSocket] = socketpair();
    const theirs = [stdin, stdout, stderr, itsChannel, itsTerminalSocket];
    // Not by node:child_process, which copies all our page tables: 2.4 million instructions, three times what the rest takes.
    this.#pid = start(program, theirs);
    for (const fd of theirs) closeSync(fd);
    this.stdin = toStdin;
    this.stdout = fromStdout;
    this.stderr = fromStderr;
    this.#terminalSocket = terminalSocket;
    this.#channel = new PollStream({ fd: channel });
    this.#channel.on("data", (bytes: Buffer) => this.#receive(bytes));
    this.#channel.on("error", (error) => log("debug", `container-init's channel: ${error.message}`));
    this.#channel.once("close", () => this.#lost());
  }

  /** Whether it still waits for its plan. */
  get idle(): boolean {
    return !this.#ended && this.#plan === undefined && this.#pid !== undefined;
  }

  /**
   * Sends the plan.
   * @returns the pid of the process, once it waits at the plan's first barrier, or once it has started if there is none.
   * @throws the CaissonError that names the failed step's field.
   */
  run(plan: Plan): Promise<number> {
    const message = encodePlan(plan.steps);
    this.#plan = plan;
    return this.#send(message);
  }

  /** Lets the process go on from a barrier, answers and fails like run(); hooks behind it read `state`. */
  proceed(state: string): Promise<number> {
    return this.#send(encodeContinue(state));
  }

  /** The master of the terminal that the plan's process got. */
  takeTerminal(): number {
    return recvFd(this.#terminalSocket).fd;
  }

  /** Lets go of container-init, which ends, and of a process it has not started yet. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#channel.destroy();
    closeSync(this.#terminalSocket);
  }

  /** close() and the stdio descriptors as well, for a client whose process will never be. */
  discard(): void {
    this.close();
    for (const fd of [this.stdin, this.stdout, this.stderr]) closeSync(fd);
  }

  #send(message: Buffer): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#ended) {
        reject(new CaissonError("CAISSON_E_PROCESS_SETUP", "the process ended before it could be told to go on"));
        return;
      }
      this.#waiter = { resolve, reject };
      this.#channel.write(message);
    });
  }

  #receive(bytes: Buffer): void {
    this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
    try {
      for (;;) {
        const decoded = decodeReport(this.#received);
        if (decoded === undefined) return;
        this.#received = this.#received.subarray(decoded.length);
        this.#handle(decoded.report);
      }
    } catch (error) {
      log("error", (error as Error).message);
      this.#channel.destroy();
    }
  }

  #handle(report: Report): void {
    switch (report.type) {
      case "reached":
      case "started":
        this.#answer((waiter) => waiter.resolve(report.pid));
        break;
      case "failed": {
        const error = describeFailure(this.#plan ?? { steps: [] }, report);
        this.#end({ exitCode: START_FAILURES[error.code] ?? 1, signal: 0 });
        this.#answer((waiter) => waiter.reject(error));
        break;
      }
      case "exited": {
        this.#end(report);
        const message = `The process ended with status ${report.exitCode} before it started.`;
        this.#answer((waiter) => waiter.reject(new CaissonError("CAISSON_E_PROCESS_SETUP", message)));
        break;
      }
    }
  }

  #answer(how: (waiter: Waiter) => void): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (waiter !== undefined) how(waiter);
  }

  #end({ exitCode, signal }: Exit): void {
    this.#ended = true;
    this.#resolveExit({ exitCode, signal });
  }

  /** The channel has closed: after the last report, or because container-init was killed, and its process with it. */
  #lost(): void {
    if (this.#pid !== undefined) reapSoon(this.#pid);
    if (!this.#ended) {
      if (!this.#closed) log("error", "container-init ended without a report");
      this.#end(KILLED);
    }
    this.#answer((waiter) =>
      waiter.reject(new CaissonError("CAISSON_E_PROCESS_SETUP", "container-init ended without a report")),
    );
  }
}

/** @returns its pid; undefined when it could not be started, which the log says. */
function start(program: string, fds: readonly number[]): number | undefined {
  try {
    return spawnProgram([program], fds);
  } catch (error) {
    log("error", `${program} could not be started: ${(error as Error).message}`);
    return undefined;
  }
}
