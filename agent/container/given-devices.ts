import type { CreateContainerRequest } from "../../protocol/generated/agent.ts";
import type { Resources, Spec } from "../../protocol/oci.ts";
import type { ContainerDisks, Disks } from "../disks/disks.ts";
import { resourcesWithGuestNumbers, withGuestNumbers } from "../disks/numbers.ts";
import { type PassedFunction, takeFunctions } from "../passed/functions.ts";
import { giveInterfaces } from "../passed/interfaces.ts";
import { resourcesWithPassedNodes, withPassedNodes } from "../passed/numbers.ts";

type Asked = Pick<CreateContainerRequest, "disks" | "diskMounts" | "passedDevices">;

/** What a container has of the host's devices: disks, and PCI functions that the VM was given. */
export class GivenDevices {
  readonly #disks: ContainerDisks | undefined;
  readonly #passed: readonly PassedFunction[];

  private constructor(disks?: ContainerDisks, passed: readonly PassedFunction[] = []) {
    this.#disks = disks;
    this.#passed = passed;
  }

  static readonly none = new GivenDevices();

  /** @throws CaissonError as Disks.attach() and takeFunctions() do; nothing is left then. */
  static async take(all: Disks, { disks, diskMounts, passedDevices }: Asked): Promise<GivenDevices> {
    const passed = passedDevices.length === 0 ? [] : await takeFunctions(passedDevices);
    return new GivenDevices(disks.length === 0 ? undefined : await all.attach(disks, diskMounts), passed);
  }

  /** The configuration with this guest's numbers and nodes of them. */
  inConfig(config: Spec): Spec {
    return withPassedNodes(withGuestNumbers(config, this.#disks?.numbers ?? []), this.#passed);
  }

  /** The same for limits that are changed later. */
  inResources(resources: Resources): Resources {
    return resourcesWithPassedNodes(resourcesWithGuestNumbers(resources, this.#disks?.numbers ?? []), this.#passed);
  }

  /** Gives the container its interfaces; `pid` is its init's. @throws CaissonError CAISSON_E_NETWORK. */
  joinNetwork(pid: number): void {
    if (this.#passed.length === 0) return;
    giveInterfaces(
      this.#passed.map(({ folder }) => folder),
      pid,
    );
  }

  /** As ContainerDisks.settle(). */
  async settle(): Promise<void> {
    await this.#disks?.settle();
  }

  /** Lets the disks go; functions stay the VM's. May be called again. */
  remove(): void {
    this.#disks?.remove();
  }
}
