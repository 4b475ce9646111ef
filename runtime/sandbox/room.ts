import { sizeOfSteps, stepsFor } from "../../protocol/guest-memory.ts";
import type { Resources } from "../../protocol/oci.ts";
import { type ContainerNeeds, needsOf, vmNeeds } from "../config/size.ts";
import type { Agent } from "../guest/agent/client.ts";
import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import { memoryLayout } from "../vm/memory-layout.ts";
import type { VmSpec } from "../vm/spec.ts";

/** Each step's devices are found, and put online, in well under a second; under emulation on a busy host they take longer. */
const LIMIT_MS = 60_000;

type Vm = Pick<VmSpec, "machine" | "memoryMib" | "ceilingMib" | "vcpus" | "mostVcpus">;

/** How large a VM is, and whether the limits of its containers together fit into it: it grows for them. */
export class Room {
  readonly #agent: Pick<Agent, "call">;
  readonly #vm: Vm;
  readonly #overheadMib: number;
  readonly #firstStep: number;
  readonly #steps: number;
  /** By container. */
  readonly #needs = new Map<string, ContainerNeeds>();
  #taken = 0;
  #vcpus: number;

  constructor(agent: Pick<Agent, "call">, vm: Vm, overheadMib: number) {
    const { firstStep, steps } = memoryLayout(vm);
    this.#agent = agent;
    this.#vm = vm;
    this.#overheadMib = overheadMib;
    this.#firstStep = firstStep;
    this.#steps = steps;
    this.#vcpus = vm.vcpus;
  }

  /** What it has, or is about to have. */
  get vcpus(): number {
    return this.#vcpus;
  }

  /** What the host has given it; the guest may have taken more by itself. */
  get memoryMib(): number {
    return this.#vm.memoryMib + sizeOfSteps(this.#firstStep, this.#taken);
  }

  /** What it can come to have. */
  get mostMemoryMib(): number {
    return this.#vm.memoryMib + sizeOfSteps(this.#firstStep, this.#steps);
  }

  /**
   * Makes room for a container with these limits, or for other limits of one that is there: what is not named stays. A VM that cannot grow so far,
   * or whose guest does not, is told in the log: the limits hold, and the container has what there is.
   */
  async make(container: string, resources: Resources = {}): Promise<void> {
    this.#needs.set(container, { ...this.#needs.get(container), ...needsOf(resources) });
    const needed = vmNeeds([...this.#needs.values()], this.#overheadMib);
    const memorySteps = Math.min(this.#steps, stepsFor(this.#firstStep, needed.memoryMib - this.#vm.memoryMib));
    const cpus = Math.min(this.#vm.mostVcpus, needed.vcpus);
    if (needed.memoryMib > this.mostMemoryMib)
      tellShort(container, `${needed.memoryMib} MiB`, `${this.mostMemoryMib} MiB`);
    if (needed.vcpus > this.#vm.mostVcpus) tellShort(container, `${needed.vcpus} CPUs`, `${this.#vm.mostVcpus}`);
    if (memorySteps <= this.#taken && cpus <= this.#vcpus) return;
    const former = this.#vcpus;
    this.#vcpus = Math.max(cpus, former);
    try {
      const request = { memorySteps: Math.max(memorySteps, this.#taken), cpus: this.#vcpus };
      const has = await this.#agent.call("growSandbox", request, { timeoutMs: LIMIT_MS });
      // The guest's word, which is of use to the guest alone.
      this.#taken = Math.min(this.#steps, has.memorySteps);
      this.#vcpus = Math.min(this.#vm.mostVcpus, Math.max(former, has.cpus));
    } catch (error) {
      this.#vcpus = former;
      log.warning(`the VM does not grow for container ${container}: ${formatError(error)}`);
    }
  }

  /** The container is gone, and its memory another one's to have. */
  leave(container: string): void {
    this.#needs.delete(container);
  }
}

function tellShort(container: string, needed: string, most: string): void {
  log.info(`container ${container} and the others of its VM may use ${needed}, and the VM can have ${most}`);
}
