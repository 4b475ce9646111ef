import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, readFileSync } from "node:fs";
import { join } from "node:path";

const MS = 1000;
const LAST_BYTES = 2000;

export interface CommandOptions {
  /** Aborting it kills the command. */
  signal?: AbortSignal | undefined;
  /** Whether it may fail, as a clean-up of what may not be there. */
  tolerant?: boolean;
}

/** Runs commands one after another or side by side, and keeps what they say on standard error for when one fails. */
export class Commands {
  readonly #log: string;
  readonly #stderr: number;

  constructor(directory: string) {
    this.#log = join(directory, "stderr.log");
    this.#stderr = openSync(this.#log, "a");
  }

  /** Where commands that others start write errors, too. */
  get stderr(): number {
    return this.#stderr;
  }

  /**
   * Starts a command in a session of its own: Ctrl-C is for the bench, which ends what it started in its own order. Its
   * streams are no pipes unless given: a container left running would keep them open.
   */
  spawn(argv: readonly string[], stdio: StdioOptions = ["ignore", "ignore", this.#stderr]): ChildProcess {
    const [file = "", ...args] = argv;
    return spawn(file, args, { stdio, detached: true });
  }

  /**
   * Runs a command to its end.
   * @returns seconds from before its start until its exit was known.
   * @throws the signal's reason; an Error with the last of standard error when it fails.
   */
  async time(argv: readonly string[], { signal, tolerant = false }: CommandOptions = {}): Promise<number> {
    signal?.throwIfAborted();
    const start = performance.now();
    const child = this.spawn(argv);
    const kill = () => child.kill("SIGKILL");
    signal?.addEventListener("abort", kill);
    const [code, died] = (await once(child, "exit")) as [number | null, string | null];
    const seconds = (performance.now() - start) / MS;
    signal?.removeEventListener("abort", kill);
    signal?.throwIfAborted();
    if (code !== 0 && !tolerant)
      throw new Error(`${argv.join(" ")} ended with ${code ?? died}:\n${this.#lastErrors()}`);
    return seconds;
  }

  #lastErrors(): string {
    return readFileSync(this.#log, "utf8").slice(-LAST_BYTES).trim();
  }
}
