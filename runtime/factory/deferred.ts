import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";

/** The cgroup of what is kept for the sandboxes to come, the fork servers, and of the processes that make it. */
export const MAKERS_CGROUP = "/caisson-fork-server";

/** A container that has just started gets the processors first. */
const DELAY_MS = 500;

/** Has something made for the next sandboxes, once this one needs no more time: soon, or at its end. */
export class Deferred {
  readonly #makers: readonly (() => unknown)[];
  readonly #timer: NodeJS.Timeout;
  #done = false;

  constructor(makers: readonly (() => unknown)[]) {
    this.#makers = makers;
    this.#timer = setTimeout(() => this.now(), DELAY_MS).unref();
  }

  /** Does it if it has not been done. */
  now(): void {
    if (this.#done) return;
    this.#done = true;
    clearTimeout(this.#timer);
    for (const make of this.#makers) {
      try {
        make();
      } catch (error) {
        log.warning(`the next starts take longer: ${formatError(error)}`);
      }
    }
  }
}
