import { formatError } from "../../errors.ts";
import { log } from "../../log.ts";
import { HostCgroup } from "../cgroup.ts";
import { STANDBY_CGROUP, type StandbyParams, spawnStandbyUnwatched } from "./spawn.ts";

/** A container that has just started gets the processors first. */
const DELAY_MS = 500;

/** Has a VM stand by for the next sandbox of this shape, once this one needs no more time: soon, or at its end. */
export class Refill {
  readonly #params: StandbyParams;
  /** Made early: later on this process stands for its container, in whose mount namespace there are no cgroups. */
  readonly #cgroup = new HostCgroup(STANDBY_CGROUP);
  readonly #timer: NodeJS.Timeout;
  #done = false;

  constructor(params: StandbyParams) {
    this.#params = params;
    this.#timer = setTimeout(() => this.now(), DELAY_MS).unref();
  }

  /** Does it if it has not been done. */
  now(): void {
    if (this.#done) return;
    this.#done = true;
    clearTimeout(this.#timer);
    try {
      spawnStandbyUnwatched(this.#params, this.#cgroup);
    } catch (error) {
      log.warning(`no VM could be made to stand by: ${formatError(error)}`);
    }
  }
}
