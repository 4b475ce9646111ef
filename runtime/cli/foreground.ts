import { CaissonError } from "../../protocol/errors.ts";
import type { WindowSize } from "../../protocol/terminal.ts";
import type { ControlClient } from "../control/client.ts";
import { onForwardedSignals } from "../process/forwarded-signals.ts";

/** Holds our signals while a process runs in our foreground: at first they interrupt, then they are its. */
export class Foreground implements Disposable {
  readonly #interruption = new AbortController();
  readonly #listening = new DisposableStack();
  #target: { client: ControlClient; execId: string | undefined } | undefined;

  constructor() {
    this.#listening.use(onForwardedSignals((signal, name) => this.#received(signal, name)));
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
      const size = windowSize();
      // A terminal without a size says nothing: process.consoleSize holds.
      if (size.rows === 0 && size.columns === 0) return;
      client.request("resize", { ...size, ...named(execId) }).catch(ignoreEnded);
    };
    process.on("SIGWINCH", resize);
    this.#listening.defer(() => process.removeListener("SIGWINCH", resize));
    // The size may have changed since it was sent along.
    resize();
  }

  [Symbol.dispose](): void {
    this.#listening.dispose();
  }

  #received(signal: number, name: NodeJS.Signals): void {
    if (this.#target === undefined) {
      this.#interruption.abort(interruptedBy(signal, name));
      return;
    }
    const { client, execId } = this.#target;
    client.request("kill", { signal, all: false, ...named(execId) }).catch(ignoreEnded);
  }
}

/** That a signal has come before there was a process to take it. Sets this process's exit code, as shells do. */
export function interruptedBy(signal: number, name: string): CaissonError {
  process.exitCode = 128 + signal;
  return new CaissonError("CAISSON_E_STATE", `interrupted by ${name} before the process ran`);
}

function named(execId: string | undefined): { execId?: string } {
  return execId === undefined ? {} : { execId };
}

/** The process ended first: its exit is on its way to us. */
function ignoreEnded(): void {}
