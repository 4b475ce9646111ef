import type { Readable } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { ConsoleLog } from "./console.ts";
import { type ExitReason, explainDeath } from "./exit-reason.ts";
import { QmpClient, QmpError, type QmpEvent } from "./qmp.ts";
import type { QemuChild } from "./spawn.ts";

const CONSOLE_LINES = 20;
const EXIT_FOLLOWS_MS = 1000;
const STDERR_BYTES = 4 * 1024;
/** States (QAPI RunState) that QEMU stops a VM in and that only ending it leaves. */
const DEAD_STATES = new Set(["internal-error", "io-error", "guest-panicked", "watchdog"]);

export interface QemuConnections {
  /** Our ends of the monitor and of the console, taken over. */
  qmpFd: number;
  consoleFd: number;
  consoleLog: string;
  /** Whether somebody else has spoken with the monitor before. */
  greeted?: boolean;
}

/** A QEMU process, watched from its start to its end. */
export class QemuProcess {
  readonly qmp: QmpClient;
  /** Resolves, never rejects, once the process is gone. */
  readonly died: Promise<ExitReason>;
  readonly #console: ConsoleLog;
  readonly #child: QemuChild;
  #exited = false;
  #killed = false;
  #panicked = false;
  #shutdownReason: string | undefined;
  #stoppedIn: string | undefined;
  #failure: string | undefined;

  /**
   * @param start called when everything is ready to watch it.
   * @throws what opening the console's log throws, and `start`.
   */
  constructor({ qmpFd, consoleFd, consoleLog, greeted = false }: QemuConnections, start: () => QemuChild) {
    const callbacks = {
      onEvent: (event: QmpEvent) => this.#take(event),
      onClose: (error: Error | undefined) => this.#monitorClosed(error),
    };
    this.qmp = new QmpClient(qmpFd, { ...callbacks, greeted });
    try {
      this.#console = new ConsoleLog(consoleFd, consoleLog);
    } catch (error) {
      this.#exited = true;
      this.qmp.close();
      throw error;
    }
    try {
      this.#child = start();
    } catch (error) {
      this.#exited = true;
      this.qmp.close();
      this.#console.close();
      throw error;
    }
    this.died = this.#watch(lastBytes(this.#child.stderr));
  }

  get pid(): number {
    return this.#child.pid;
  }

  lastConsoleLines(): string[] {
    return this.#console.lastLines(CONSOLE_LINES);
  }

  /** Ends QEMU if it still runs, and waits until it is gone. */
  async kill(): Promise<void> {
    this.#killed = true;
    this.#end();
    await this.died;
  }

  /** Ends a VM that is of no use any more; `why` is told as the reason of its end, unless it has ended already. */
  giveUp(why: string): void {
    if (this.#exited) return;
    this.#failure ??= why;
    this.#end();
  }

  /** Ends QEMU because setting it up failed; that its monitor closed is only a consequence of an end. */
  fail(error: unknown): void {
    if (error instanceof QmpError || (error instanceof DOMException && error.name === "TimeoutError")) {
      this.#failure ??= error.message;
    }
    if (this.#failure !== undefined) this.#end();
  }

  async #watch(stderr: () => string): Promise<ExitReason> {
    const { exitCode, signal, problem } = await this.#child.ended;
    this.#exited = true;
    await this.#console.ended();
    this.qmp.close();
    return explainDeath({
      killed: this.#killed,
      panicked: this.#panicked,
      shutdownReason: this.#shutdownReason,
      stoppedIn: this.#stoppedIn,
      failure: this.#failure ?? problem,
      exitCode,
      exitSignal: signal,
      panicLine: this.#console.findLast("Kernel panic"),
      consoleLines: this.lastConsoleLines(),
      qemuMessage: stderr(),
    });
  }

  /** Without its monitor nobody can see into a VM; mostly it is just a moment ahead of QEMU's exit and its status. */
  #monitorClosed(error: Error | undefined): void {
    if (this.#exited) return;
    if (error !== undefined) this.#end();
    const limit = setTimeout(() => this.#end(), EXIT_FOLLOWS_MS);
    void this.died.then(() => clearTimeout(limit));
  }

  #end(): void {
    if (this.#exited) return;
    this.#child.kill();
  }

  #take(event: QmpEvent): void {
    if (event.name === "SHUTDOWN") this.#shutdownReason = String(event.data["reason"]);
    if (event.name === "GUEST_PANICKED") {
      this.#panicked = true;
      this.#end();
    }
    if (event.name === "STOP") this.#findOutWhyStopped();
  }

  /** STOP is no end when it was asked for; the event does not say, the state does. */
  #findOutWhyStopped(): void {
    this.qmp.execute("query-status").then(
      (status) => {
        const state = (status as { status?: unknown } | undefined)?.status;
        if (typeof state !== "string" || !DEAD_STATES.has(state)) return;
        this.#stoppedIn = state;
        this.#end();
      },
      (error) => this.fail(error),
    );
  }
}

/** Keeps the end of a stream of text; what it returns is fit for one line of a message. */
function lastBytes(stream: Readable): () => string {
  let kept = Buffer.alloc(0);
  stream.on("data", (chunk: Buffer) => {
    kept = Buffer.concat([kept, chunk]).subarray(-STDERR_BYTES);
  });
  stream.on("error", () => stream.destroy());
  return () =>
    stripVTControlCharacters(kept.toString("latin1"))
      .replaceAll(/[^\x20-\x7e]+/g, " ")
      .trim();
}
