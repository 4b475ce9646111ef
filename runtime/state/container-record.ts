import { userInfo } from "node:os";
import { CaissonError } from "../../protocol/errors.ts";
import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import { statePaths } from "./paths.ts";
import { processIdentity } from "./process-identity.ts";
import type { StateRecord } from "./record.ts";
import { removeState, reserveState, writeState } from "./store.ts";

/** The record of a container, or of a pod, as this process keeps it. */
export class ContainerRecord {
  readonly #root: string;
  #state: StateRecord;

  /** @param state as it has been written. */
  constructor(root: string, state: StateRecord) {
    this.#root = root;
    this.#state = state;
  }

  /**
   * Reserves the id for what this process is to stand for.
   * @throws CaissonError CAISSON_E_HOST when /proc does not show this process; as reserveState() does.
   */
  static reserve(root: string, known: Omit<StateRecord, "created" | "owner" | "daemon">): ContainerRecord {
    const daemon = processIdentity();
    if (daemon === undefined)
      throw new CaissonError("CAISSON_E_HOST", "/proc does not show this process: is it mounted?");
    const state = { ...known, created: new Date().toISOString(), owner: userInfo().username, daemon };
    reserveState(root, state);
    return new ContainerRecord(root, state);
  }

  get state(): Readonly<StateRecord> {
    return this.#state;
  }

  get paths(): ReturnType<typeof statePaths> {
    return statePaths(this.#root, this.#state.id);
  }

  /** @throws CaissonError CAISSON_E_STORAGE; what is on record stays then. */
  write(changes: Partial<StateRecord>): void {
    const state = { ...this.#state, ...changes };
    writeState(this.#root, state);
    this.#state = state;
  }

  /** Does what write() does for what is so without a record of it as well: a failure is a warning. */
  tryToWrite(changes: Partial<StateRecord>): void {
    try {
      this.write(changes);
    } catch (error) {
      log.warning(formatError(error));
    }
  }

  remove(): void {
    removeState(this.#root, this.#state.id);
  }
}
