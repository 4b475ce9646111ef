import { Launcher } from "./launcher.ts";

/** Long enough that the replacement does not compete with the process that has just been started. */
const REPLENISH_AFTER_MS = 250;

/** Keeps one launcher ready, so that a process starts by a message and not by spawning. */
export class Reserve {
  readonly #program: string;
  #spare: Launcher | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param program the path of container-init. */
  constructor(program: string) {
    this.#program = program;
  }

  /** Spawns the spare one if there is none. */
  fill(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#spare?.idle === true) return;
    this.#spare?.discard();
    this.#spare = new Launcher(this.#program);
  }

  /** A launcher of the caller's own; the next one is spawned when the guest has had time for the process. */
  take(): Launcher {
    this.fill();
    const spare = this.#spare as Launcher;
    this.#spare = undefined;
    this.#timer = setTimeout(() => this.fill(), REPLENISH_AFTER_MS);
    return spare;
  }
}
