import { openSync } from "node:fs";
import type { Spec } from "../../protocol/oci.ts";
import { ContainerInitClient } from "../container-init/client.ts";
import { log } from "../log.ts";
import { emptyNetworkSteps } from "../plan/namespaces.ts";

/**
 * A network namespace in which only the loopback interface is up, for the next container that wants such a one. Making it
 * is a third of what the kernel does for a container (and translates anew in each clone), so a template has one made.
 */
export class PooledNetwork {
  readonly #program: string;
  #descriptor: number | undefined;

  /** @param program the path of container-init. */
  constructor(program: string) {
    this.#program = program;
  }

  /** Makes one unless there is one. Without it containers make their own, so it is not missed when that fails. */
  async fill(): Promise<void> {
    if (this.#descriptor !== undefined) return;
    const client = new ContainerInitClient(this.#program);
    try {
      const pid = await client.run({ steps: emptyNetworkSteps() });
      this.#descriptor = openSync(`/proc/${pid}/ns/net`, "r");
    } catch (error) {
      log("warning", `no network namespace could be made ahead: ${(error as Error).message}`);
    } finally {
      client.discard();
    }
    await client.exited;
  }

  /**
   * Gives the namespace to a container that wants a network namespace of its own.
   * @returns the configuration, which joins it, and its descriptor, the caller's to keep for as long as the container is there;
   *   the configuration as it is when there is no such namespace, none is wanted, or a user namespace must be its owner.
   */
  take(config: Spec): { config: Spec; descriptor?: number } {
    const descriptor = this.#descriptor;
    const namespaces = config.linux?.namespaces ?? [];
    const wanted = namespaces.find(({ type, path }) => type === "network" && path === undefined);
    if (descriptor === undefined || wanted === undefined || namespaces.some(({ type }) => type === "user")) {
      return { config };
    }
    this.#descriptor = undefined;
    const path = `/proc/${process.pid}/fd/${descriptor}`;
    const joining = namespaces.map((each) => (each === wanted ? { ...each, path } : each));
    return { config: { ...config, linux: { ...config.linux, namespaces: joining } }, descriptor };
  }
}
