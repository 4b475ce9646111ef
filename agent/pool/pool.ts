import { ContainerInitClient } from "../container-init/client.ts";
import type { AgentPaths } from "../paths.ts";
import { PooledCgroup } from "./cgroup.ts";
import { PooledNetwork } from "./network.ts";

/** What a sandbox's start needs, with an exec soon after it: none of these then waits for a fork of the agent. */
const SPARES = 2;
/** Long enough that the replacement does not compete with the start of a process, on a busy host either. */
const REPLENISH_AFTER_MS = 3000;

/** What is made ahead: container-inits, so that a process starts by a message and not by spawning, and what a first container takes. */
export class Pool {
  readonly network: PooledNetwork;
  readonly cgroup: PooledCgroup;
  readonly #program: string;
  #spares: ContainerInitClient[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor({ containerInit, cgroupRoot }: AgentPaths) {
    this.#program = containerInit;
    this.network = new PooledNetwork(containerInit);
    this.cgroup = new PooledCgroup(cgroupRoot);
  }

  /** Makes all that a template should have ready. */
  async prepare(): Promise<void> {
    this.fill();
    await this.network.fill();
    this.cgroup.fill();
  }

  /** Spawns the container-inits that are missing. */
  fill(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#spares = this.#spares.filter(isIdle);
    while (this.#spares.length < SPARES) this.#spares.push(new ContainerInitClient(this.#program));
  }

  /** A container-init of the caller's own; it is replaced when the guest has had time for the process. */
  take(): ContainerInitClient {
    let spare = this.#spares.shift();
    while (spare !== undefined && !isIdle(spare)) spare = this.#spares.shift();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.fill(), REPLENISH_AFTER_MS);
    return spare ?? new ContainerInitClient(this.#program);
  }
}

/** Whether it can be used; one that died while it waited is let go of. */
function isIdle(spare: ContainerInitClient): boolean {
  if (!spare.idle) spare.discard();
  return spare.idle;
}
