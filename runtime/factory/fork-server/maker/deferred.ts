import { closeSync } from "node:fs";
import { SharedCgroup } from "../../../cgroup/cgroup.ts";
import { formatError } from "../../../text/errors.ts";
import { log } from "../../../text/log.ts";
import { lockForkServer } from "./lock.ts";
import { FORK_SERVER_CGROUP, type ForkServerParams, spawnMakerUnwatched } from "./spawn.ts";

/** A container that has just started gets the processors first. */
const DELAY_MS = 500;

/** Has a fork server made for the next sandboxes of this shape, once this one needs no more time: soon, or at its end. */
export class DeferredForkServer {
  readonly #params: ForkServerParams;
  readonly #templateFolder: string;
  /** Made early: later on this process stands for its container, in whose mount namespace there are no cgroups. */
  readonly #cgroup = new SharedCgroup(FORK_SERVER_CGROUP);
  readonly #timer: NodeJS.Timeout;
  #done = false;

  constructor(params: ForkServerParams, templateFolder: string) {
    this.#params = params;
    this.#templateFolder = templateFolder;
    this.#timer = setTimeout(() => this.now(), DELAY_MS).unref();
  }

  /** Does it if it has not been done. */
  now(): void {
    if (this.#done) return;
    this.#done = true;
    clearTimeout(this.#timer);
    try {
      const lock = lockForkServer(this.#templateFolder);
      if (lock === undefined) return;
      closeSync(lock);
      spawnMakerUnwatched(this.#params, this.#cgroup);
    } catch (error) {
      log.warning(`the template has no fork server: ${formatError(error)}`);
    }
  }
}
