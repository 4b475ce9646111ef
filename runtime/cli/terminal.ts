import { openSync } from "node:fs";
import { isatty, ReadStream } from "node:tty";
import { getWinsize } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type { TerminalMode, WindowSize } from "../../protocol/terminal.ts";

/** Our standard streams in the order in which runc looks for a terminal among them. */
const STREAMS = [2, 1, 0] as const;

/**
 * The terminal that we were called from, whose size and mode are the container's terminal's. Which of our standard streams
 * it is does not matter: the daemon copies the container's terminal to and from these, redirected or not.
 */
export class OwnTerminal implements Disposable {
  readonly #fd: number;
  readonly #stream: ReadStream;

  /** @throws CaissonError CAISSON_E_USAGE when there is no terminal. */
  constructor() {
    this.#fd = STREAMS.find((fd) => isatty(fd)) ?? openControllingTerminal();
    this.#stream = new ReadStream(this.#fd);
  }

  get size(): WindowSize {
    return getWinsize(this.#fd);
  }

  /** How the container's terminal starts. This one makes the line ends; where the output is redirected, nobody does. */
  get mode(): TerminalMode {
    return { ...this.size, keepNewlines: true };
  }

  /**
   * Hands every byte through, until disposed; of what is shown only line ends are still made "\r\n". Node keeps the mode to
   * go back to, also for an exit on the way.
   */
  makeRaw(): void {
    this.#stream.setRawMode(true);
  }

  [Symbol.dispose](): void {
    this.#stream.setRawMode(false);
    this.#stream.destroy();
  }
}

/** The terminal of the session, which may have one although our streams are redirected (tty(4)). */
function openControllingTerminal(): number {
  try {
    return openSync("/dev/tty", "r+");
  } catch (cause) {
    throw new CaissonError(
      "CAISSON_E_USAGE",
      "the process wants a terminal, but none of stdin, stdout and stderr is one, and the session has none",
      {
        cause,
        remedy: "Run it from a terminal, or set process.terminal to false, or detach and give --console-socket.",
      },
    );
  }
}
