import { CaissonError } from "../../protocol/errors.ts";
import type { Process } from "./process.ts";

const SIGKILL = 9;

/** How many ended processes are kept for a late ReadOutput; a liveness probe adds one every few seconds for ever. */
const ENDED_LIMIT = 128;

/** The processes that exec added to a container, by their ids. */
export class Execs {
  readonly #starting = new Set<string>();
  /** In the order in which they were added. */
  readonly #processes = new Map<string, Process>();

  /** Adds what `launch` makes; an id is free again once its process has ended. Throws CAISSON_E_ID_IN_USE. */
  async add(id: string, name: string, launch: () => Promise<Process>): Promise<Process> {
    const previous = this.#processes.get(id);
    if (this.#starting.has(id) || (previous !== undefined && previous.exit === undefined)) {
      throw new CaissonError("CAISSON_E_ID_IN_USE", `there is a ${name} already`);
    }
    previous?.close();
    this.#processes.delete(id);
    this.#starting.add(id);
    try {
      const process = await launch();
      this.#processes.set(id, process);
      process.exited.then(() => process.release());
      this.#dropOldest();
      return process;
    } finally {
      this.#starting.delete(id);
    }
  }

  get(id: string): Process | undefined {
    return this.#processes.get(id);
  }

  /** Kills those that live. */
  kill(): void {
    for (const process of this.#processes.values()) {
      if (process.exit === undefined) process.signal(SIGKILL);
    }
  }

  /** Lets go of all of them. */
  close(): void {
    for (const process of this.#processes.values()) process.close();
    this.#processes.clear();
  }

  #dropOldest(): void {
    let surplus = [...this.#processes.values()].filter((process) => process.exit !== undefined).length - ENDED_LIMIT;
    for (const [id, process] of this.#processes) {
      if (surplus <= 0) return;
      if (process.exit === undefined) continue;
      process.close();
      this.#processes.delete(id);
      surplus -= 1;
    }
  }
}
