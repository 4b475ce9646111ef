import { type FSWatcher, watch } from "node:fs";
import { CaissonError } from "../../../protocol/errors.ts";
import { LATER_LIMITS, readVolume, type SmallVolume } from "../../storage/small-volume.ts";
import { formatError } from "../../text/errors.ts";
import { log } from "../../text/log.ts";
import type { Agent } from "../agent/client.ts";

const CALL_LIMIT_MS = 30_000;

/** A small volume of the host that the guest has a copy of, which follows what the host changes. */
export class WatchedVolume {
  readonly #agent: Agent;
  readonly #volume: SmallVolume;
  readonly #watcher: FSWatcher;
  #isWriting = false;
  #hasChanged = false;
  #isClosed = false;

  private constructor(agent: Agent, volume: SmallVolume) {
    this.#agent = agent;
    this.#volume = volume;
    this.#watcher = watch(volume.directory, { persistent: false }, () => void this.#follow());
    this.#watcher.on("error", (error) => this.#fail(error));
  }

  /**
   * Has the guest make a copy, and follows the host's changes from then on.
   * @throws CaissonError of the agent, or the system's error.
   */
  static async start(agent: Agent, volume: SmallVolume): Promise<WatchedVolume> {
    const watched = new WatchedVolume(agent, volume);
    try {
      await watched.#write();
      return watched;
    } catch (error) {
      watched.close();
      throw error;
    }
  }

  /** Takes the copy away, which no container may have any more. May be called again. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watcher.close();
    // A guest that is gone has no copy.
    const request = { path: this.#volume.guestPath };
    this.#agent.call("removeVolume", request, { timeoutMs: CALL_LIMIT_MS }).catch(() => {});
  }

  /** The write under way, one at a time; what has changed meanwhile is written once. */
  async #follow(): Promise<void> {
    this.#hasChanged = true;
    if (this.#isWriting) return;
    this.#isWriting = true;
    while (this.#hasChanged && !this.#isClosed) {
      this.#hasChanged = false;
      try {
        await this.#write();
      } catch (error) {
        this.#fail(error);
      }
    }
    this.#isWriting = false;
  }

  async #write(): Promise<void> {
    const { directory, guestPath: path, field, name } = this.#volume;
    const entries = readVolume(directory, LATER_LIMITS);
    if (entries === undefined) {
      const { bytes, entries: most } = LATER_LIMITS;
      const limits = `it has become more than ${bytes} bytes or ${most} files, or has other things than files`;
      throw new CaissonError("CAISSON_E_STORAGE", `${field}: ${name} cannot be copied: ${limits}`, { field });
    }
    await this.#agent.call("writeVolume", { path, entries }, { timeoutMs: CALL_LIMIT_MS });
  }

  #fail(error: unknown): void {
    if (this.#isClosed) return;
    const { field, name } = this.#volume;
    log.warning(`${field}: the container keeps ${name} as it was: ${formatError(error)}`);
  }
}
