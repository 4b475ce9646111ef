import { isatty, ReadStream } from "node:tty";
import { getWinsize, makeRaw } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type { WindowSize } from "../control/protocol.ts";

const STDIN = 0;

/** The terminal on our stdin, which the daemon copies a container's terminal to and from. */
export class OwnTerminal implements Disposable {
  readonly #stream: ReadStream;

  /** @throws CaissonError CAISSON_E_USAGE when stdin is not a terminal. */
  constructor() {
    if (!isatty(STDIN)) {
      throw new CaissonError("CAISSON_E_USAGE", "the process wants a terminal, but stdin is not one", {
        remedy: "Run it from a terminal, or set process.terminal to false, or detach and give --console-socket.",
      });
    }
    this.#stream = new ReadStream(STDIN);
  }

  get size(): WindowSize {
    return getWinsize(STDIN);
  }

  /**
   * Hands every byte through unchanged, until disposed. Node keeps the mode to go back to, also for an exit on the way;
   * its own raw mode still changes line ends on output.
   */
  makeRaw(): void {
    this.#stream.setRawMode(true);
    makeRaw(STDIN);
  }

  [Symbol.dispose](): void {
    this.#stream.setRawMode(false);
    this.#stream.destroy();
  }
}
