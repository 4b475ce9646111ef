import { closeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Spec } from "../../protocol/oci.ts";
import type { Agent } from "../guest/agent/client.ts";
import { updateNetwork } from "../guest/network.ts";
import { type FollowingVm, follow } from "../network/following.ts";
import type { SandboxNetwork } from "../network/network.ts";
import { NetworkWatch } from "../network/watch.ts";
import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import type { Machine } from "../vm/machine.ts";
import { plugNetwork, unplugNetwork } from "../vm/network-device.ts";
import { initialMac, type NetworkDevice, networkSlotAddress } from "../vm/spec.ts";

/** The guest's kernel finds a device within a second, under emulation on a busy host later. */
const LIMIT_MS = 30_000;
/** What could not be done is tried again no sooner than this. */
const PAUSE_MS = 10_000;

/** The network namespace of a sandbox and its guest's network, which follows it. */
export class GuestNetwork implements FollowingVm {
  readonly #network: SandboxNetwork | undefined;
  readonly #machine: Pick<Machine, "qmp" | "machine" | "died">;
  readonly #agent: Agent;
  /** How many devices the VM has been started with. */
  readonly #started: number;
  #watch: NetworkWatch | undefined;
  #following = Promise.resolve();
  #isQueued = false;
  #notBeforeMs = 0;
  #open = true;

  constructor(network: SandboxNetwork | undefined, machine: Pick<Machine, "qmp" | "machine" | "died">, agent: Agent) {
    this.#network = network;
    this.#machine = machine;
    this.#agent = agent;
    this.#started = network?.deviceCount ?? 0;
    void machine.died.then(() => this.#unwatch());
  }

  get isOver(): boolean {
    return !this.#open;
  }

  /** Whether the guest has to be told of changes, from right before its first container starts. */
  get isFollowed(): boolean {
    return this.#network?.isFollowed ?? false;
  }

  /** Names of the host's interfaces that the VM has. */
  get interfaces(): readonly string[] {
    return this.#network?.interfaceNames ?? [];
  }

  /** A container's configuration as the guest needs it. Throws as SandboxNetwork.inGuest(). */
  inGuest(spec: Spec, isFirst: boolean): Spec {
    return this.#network?.inGuest(spec, isFirst) ?? spec;
  }

  /**
   * Tells the guest what has come into the namespace between create and start, as with `ctr run --cni`, and from then on what comes and goes.
   * @param pid of the first container's init. @throws CAISSON_E_NETWORK.
   */
  async refresh(pid: number): Promise<void> {
    const network = this.#network;
    if (network === undefined) return;
    // Before the namespace is read, so that nothing is missed; what that finds waits until this is done.
    if (network.isFollowed) this.#watch = new NetworkWatch(() => this.#follow(network));
    const done = this.#following.then(() => this.#refresh(network, pid));
    this.#following = done.catch(() => {});
    await done;
    // Only now is there anything to follow.
    if (this.#watch !== undefined || !network.isFollowed) return;
    this.#watch = new NetworkWatch(() => this.#follow(network));
    this.#follow(network);
  }

  /**
   * Lets engines reach what listens on the sandbox's loopback: they connect to it in the network namespace. Does nothing
   * where that cannot be.
   * @throws CAISSON_E_NETWORK when one of the kernels refuses.
   */
  async lendLoopback(): Promise<void> {
    const requests = this.#network?.lending.loopbackRequests();
    if (requests === undefined) return;
    await updateNetwork(this.#agent, requests);
    this.#network?.lending.lendLoopback();
  }

  async attach(device: number, added: NetworkDevice | undefined): Promise<number> {
    const { slot, request } = this.#device(device);
    if (added === undefined)
      return (await this.#agent.call("attachNetworkDevice", request, { timeoutMs: LIMIT_MS })).index;
    try {
      await plugNetwork(this.#machine, device, slot, added, AbortSignal.timeout(LIMIT_MS));
    } finally {
      closeSync(added.tapFd);
      if (added.vhostFd !== undefined) closeSync(added.vhostFd);
    }
    try {
      return (await this.#agent.call("attachNetworkDevice", request, { timeoutMs: LIMIT_MS })).index;
    } catch (error) {
      await unplugNetwork(this.#machine, device, AbortSignal.timeout(LIMIT_MS));
      throw error;
    }
  }

  async detach(device: number, index: number, isAdded: boolean): Promise<void> {
    const { request } = this.#device(device);
    await this.#agent.call("detachNetworkDevice", { ...request, index, stays: !isAdded }, { timeoutMs: LIMIT_MS });
    if (isAdded) await unplugNetwork(this.#machine, device, AbortSignal.timeout(LIMIT_MS));
  }

  async tell(requests: Parameters<FollowingVm["tell"]>[0]): Promise<void> {
    await updateNetwork(this.#agent, requests);
  }

  /** Puts the namespace back as it was, when QEMU is gone. May be called again. */
  close(): void {
    this.#unwatch();
    this.#network?.close();
  }

  #unwatch(): void {
    this.#open = false;
    this.#watch?.close();
  }

  async #refresh(network: SandboxNetwork, pid: number): Promise<void> {
    for (const step of network.refresh(pid)) await updateNetwork(this.#agent, step);
    if (network.isFollowed && network.survey().late.length > 0) await follow(network, this);
    await this.#reachNames(network);
  }

  /** One after the other, and after #refresh(): two at once would give one interface two devices, or two interfaces one. */
  #follow(network: SandboxNetwork): void {
    // One that has not begun yet will see this change, too.
    if (this.#isQueued) return;
    this.#isQueued = true;
    this.#following = this.#following.then(async () => {
      try {
        await sleep(Math.max(0, this.#notBeforeMs - performance.now()), undefined, { ref: false });
        // What is tried changes the namespace, too: without a pause it would be tried for ever.
        this.#isQueued = false;
        if (this.#open && !(await follow(network, this))) this.#notBeforeMs = performance.now() + PAUSE_MS;
        if (this.#open) await this.#reachNames(network);
      } catch (error) {
        if (this.#open) log.warning(`the VM's network is not as its namespace's: ${formatError(error)}`);
      }
    });
  }

  async #reachNames(network: SandboxNetwork): Promise<void> {
    try {
      const requests = await network.lending.nameServerRequests();
      if (requests !== undefined) await updateNetwork(this.#agent, requests);
    } catch (error) {
      log.warning(`the network's name server cannot be reached: ${formatError(error)}`);
    }
  }

  #device(device: number): { slot: number; request: { mac: Buffer; slotAddress: bigint } } {
    const slot = device - this.#started;
    const address = slot < 0 ? 0 : networkSlotAddress(this.#machine.machine, slot);
    const mac = Buffer.from(initialMac(device).replaceAll(":", ""), "hex");
    return { slot, request: { mac, slotAddress: BigInt(address) } };
  }
}
