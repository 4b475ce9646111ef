import { constants } from "node:os";
import { CaissonError } from "../../protocol/errors.ts";
import type { ControlClient } from "../control/client.ts";
import type { WindowSize } from "../control/protocol.ts";

/** Passed on to the process. Not SIGTSTP and its kin: they stop us, so that a shell's job control works. */
const FORWARDED = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM"] as const;

/** Holds our signals while a process runs in our foreground: at first they interrupt, then they are its. */
export class Foreground implements Disposable {
  readonly #interruption = new AbortController();
  readonly #listeners: [NodeJS.Signals, () => void][] = [];
  #target: { client: ControlClient; execId: string | undefined } | undefined;

  constructor() {
    for (const name of FORWARDED) this.#on(name, () => this.#received(name));
  }

  /** Aborted by a signal that comes before there is a process to take it; sets the exit code, too, as shells do. */
  get interrupted(): AbortSignal {
    return this.#interruption.signal;
  }

  /** From now on signals go to the process, and changes of the terminal's size, if it has one. */
  forwardTo(client: ControlClient, execId?: string, windowSize?: () => WindowSize): void {
    this.#target = { client, execId };
    if (windowSize === undefined) return;
    const resize = () => {
      client.request("resize", { ...windowSize(), ...named(execId) }).catch(ignoreEnded);
    };
    this.#on("SIGWINCH", resize);
    // The size may have changed since it was sent along.
    resize();
  }

  [Symbol.dispose](): void {
    for (const [name, listener] of this.#listeners) process.removeListener(name, listener);
  }

  #on(name: NodeJS.Signals, listener: () => void): void {
    process.on(name, listener);
    this.#listeners.push([name, listener]);
  }

  #received(name: (typeof FORWARDED)[number]): void {
    const signal = constants.signals[name];
    if (this.#target === undefined) {
      process.exitCode = 128 + signal;
      this.#interruption.abort(new CaissonError("CAISSON_E_STATE", `interrupted by ${name} before the process ran`));
      return;
    }
    const { client, execId } = this.#target;
    client.request("kill", { signal, all: false, ...named(execId) }).catch(ignoreEnded);
  }
}

function named(execId: string | undefined): { execId?: string } {
  return execId === undefined ? {} : { execId };
}

/** The process ended first: its exit is on its way to us. */
function ignoreEnded(): void {}
