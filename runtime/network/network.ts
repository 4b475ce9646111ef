import { NetlinkSocket } from "../../native/posix/netlink.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { isInGuest } from "../../protocol/guest-contract.ts";
import type { Spec } from "../../protocol/oci.ts";
import type { ConnectedInterface, NetworkChanges } from "../state/record.ts";
import { ADDED_NETWORKS, type NetworkDevice } from "../vm/spec.ts";
import { assignDevices } from "./assignment.ts";
import { type Dump, type Link, readLinks, readNamespace } from "./dump.ts";
import type { FollowedNetwork } from "./following.ts";
import { FIRST_GUEST_INDEX, moveBackRequest } from "./guest-requests.ts";
import { type Lender, Lending } from "./lending.ts";
import type { Request } from "./message.ts";
import { currentNamespaceInode, enterNetworkNamespace, isCurrentNamespace } from "./namespace.ts";
import { selectLinks, withoutTaps } from "./selection.ts";
import { connect, disconnect, planConnections } from "./tc-redirect.ts";
import { type GuestRequests, ToldNetwork } from "./told.ts";
import { VmTaps } from "./vm-taps.ts";

/** Called with what must be on record before interfaces are changed. */
export type Save = (changes: NetworkChanges) => void;

/**
 * A sandbox's network: the namespace that the engine made, whose interfaces the VM gets. The main thread is in it from
 * enter() on.
 */
export class SandboxNetwork {
  /** What the configuration names; undefined when it asked for a new namespace, which goes with the daemon. */
  readonly #path: string | undefined;
  readonly #inode = currentNamespaceInode();
  readonly #hasUserNamespace: boolean;
  readonly #socket = new NetlinkSocket();
  readonly #save: Save;
  readonly #taps = new VmTaps();
  /** By index of the interface: the VM's device that it has. */
  #devices = new Map<number, number>();
  /** By device: the index of its interface in the guest, where that does not follow from its number. */
  readonly #indexes = new Map<number, number>();
  /** How many devices the VM has been started with. */
  #started = 0;
  #connected: ConnectedInterface[] = [];
  readonly #told = new ToldNetwork();
  /** What of the VM's is reached through one of the interfaces, and what of the namespace the VM reaches so. */
  readonly lending: Lending;
  /** Whether the interfaces belong to the guest's own network namespace, or to the container's in it. */
  #shared = false;
  /** Whose network namespace in the guest they belong to: a process's, 0 for the guest's own. */
  #pid = 0;
  #open = true;

  private constructor(spec: Spec, save: Save) {
    this.#path = networkPath(spec);
    this.#hasUserNamespace = spec.linux?.namespaces?.some(({ type }) => type === "user") ?? false;
    this.#save = save;
    this.lending = new Lending(
      this.#socket,
      () => this.#lender(),
      () => this.#record(),
    );
  }

  /**
   * Moves the process's main thread into the network namespace of the sandbox's first container, or into a new empty one.
   * @throws CAISSON_E_NETWORK when that cannot be done, CAISSON_E_CONFIG_UNSUPPORTED when it is the host's own.
   */
  static enter(spec: Spec, save: Save): SandboxNetwork {
    enterNetworkNamespace(networkPath(spec));
    return new SandboxNetwork(spec, save);
  }

  /**
   * Connects the interfaces that are there with taps for the VM: from here on it has their traffic.
   * @returns what CreateSandbox tells the guest's kernel.
   * @throws CAISSON_E_NETWORK naming the interface and what the kernel refused.
   */
  connect(): readonly Request[] {
    const isTemporary = this.#path === undefined;
    if (this.#isBare()) {
      this.#taps.addSpare(isTemporary);
      this.#started = this.#taps.count;
      return [];
    }
    const dump = readNamespace(this.#socket);
    const links = selectLinks(dump.links);
    for (const _ of links) this.#taps.add(isTemporary);
    if (links.length === 0) this.#taps.addSpare(isTemporary);
    this.#shared = this.#path !== undefined || (links.length > 0 && !this.#hasUserNamespace);
    this.#started = this.#taps.count;
    this.#connect(dump, links);
    return this.#shared ? this.#told.tell(dump, this.#numbers(), 0).flatMap(({ requests }) => requests) : [];
  }

  /** How many network devices the VM has. */
  get deviceCount(): number {
    return this.#taps.count;
  }

  /** The names of the interfaces that the VM has. */
  get interfaceNames(): string[] {
    return this.#connected.map(({ name }) => name);
  }

  /** For the log: where the VM's network is from, and the names of the interfaces that it has. */
  get facts(): { namespace: string; interfaces: string; devices: number } {
    return {
      namespace: this.#path ?? "a new one",
      interfaces: this.interfaceNames.join(" "),
      devices: this.#taps.count,
    };
  }

  /** The VM's network devices. Their descriptors stay ours. */
  get devices(): NetworkDevice[] {
    return this.#taps.devices;
  }

  /** Closes the taps here, once QEMU has them: they then go with QEMU. May be called again. */
  release(): void {
    this.#taps.release();
  }

  /**
   * Connects what came into the namespace since, before a container starts.
   * @param pid the container's init in the guest, whose network namespace gets it if that is the container's own.
   * @returns what the guest's kernel is to be told, in this order.
   * @throws CAISSON_E_NETWORK as connect() does. Those for which the VM has no device left are follow()'s.
   */
  refresh(pid: number): GuestRequests[] {
    if (this.#isBare()) return [];
    const { dump, late } = this.survey();
    const free = this.#started - this.#devices.size;
    if (!this.#shared) this.#pid = pid;
    this.#connect(dump, late.slice(0, free));
    return this.#told.tell(dump, this.#numbers(), this.#pid);
  }

  /** Whether the guest is told of changes: a container without a network has nobody who makes any. */
  get isFollowed(): boolean {
    return this.#shared || this.#devices.size > 0;
  }

  survey(): { dump: Dump; gone: { link: number; device: number }[]; late: Link[] } {
    const dump = withoutTaps(readNamespace(this.#socket));
    const links = selectLinks(dump.links);
    return {
      dump,
      gone: [...this.#devices]
        .filter(([index]) => !links.some((link) => link.index === index))
        .map(([link, device]) => ({ link, device })),
      late: links.filter(({ index }) => !this.#devices.has(index)),
    };
  }

  letGo({ link, device }: { link: number; device: number }): ReturnType<FollowedNetwork["letGo"]> {
    const index = this.#guestIndex(device);
    const former = this.#connected.filter((each) => each.index === link);
    disconnect(this.#socket, former, this.#taps.indexes);
    this.#devices.delete(link);
    this.#indexes.delete(device);
    this.#connected = this.#connected.filter((each) => each.index !== link);
    const isMoved = this.#told.forget(link);
    this.#record();
    this.lending.leaves(link);
    const back = isMoved ? { pid: this.#pid, requests: [moveBackRequest(index)] } : undefined;
    return { index, isAdded: device >= this.#started, back };
  }

  reserve({ name }: Link): { device: number; added: NetworkDevice | undefined } {
    const used = new Set(this.#devices.values());
    for (let device = 0; device < this.#started + ADDED_NETWORKS; device++) {
      if (used.has(device)) continue;
      return { device, added: device < this.#started ? undefined : this.#taps.open(device, false).device };
    }
    const count = this.#started + ADDED_NETWORKS;
    throw new CaissonError(
      "CAISSON_E_NETWORK",
      `cannot connect ${name} to the VM: it has ${count} network devices, and can have no more`,
    );
  }

  connectLate(dump: Dump, link: Link, device: number, index: number): void {
    this.#connected.push(...planConnections(this.#socket, [link]));
    this.#devices.set(link.index, device);
    this.#indexes.set(device, index);
    this.#record();
    connect(this.#socket, link, this.#taps.at(device), dump.links);
  }

  abandon(device: number): void {
    if (device >= this.#started) this.#taps.remove(device);
  }

  untold(dump: Dump): { steps: readonly GuestRequests[]; undone: GuestRequests } {
    const steps = this.#told.tell(dump, this.#numbers(), this.#pid);
    return { steps, undone: { pid: this.#pid, requests: this.#told.takeBack(dump, this.#numbers()) } };
  }

  /**
   * A container's configuration as the guest needs it: without the network namespace if it has the sandbox's, which in
   * the guest is the guest's own.
   * @throws CAISSON_E_CONFIG_UNSUPPORTED when it names another one.
   */
  inGuest(spec: Spec, isFirst: boolean): Spec {
    const namespaces = spec.linux?.namespaces ?? [];
    const path = networkPath(spec);
    if (path !== undefined && isInGuest(path)) return spec;
    if (path !== undefined && !isCurrentNamespace(path)) {
      throw new CaissonError(
        "CAISSON_E_CONFIG_UNSUPPORTED",
        `linux.namespaces[network].path: ${path} is not the network namespace of this sandbox`,
        {
          field: "linux.namespaces[network].path",
          remedy: "The containers of a sandbox share its network or have a new, empty one.",
        },
      );
    }
    if (path === undefined && !(isFirst && this.#shared)) return spec;
    return { ...spec, linux: { ...spec.linux, namespaces: namespaces.filter(({ type }) => type !== "network") } };
  }

  /** Puts the namespace back as it was, when QEMU is gone. May be called again. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.lending.close();
    this.#taps.release();
    try {
      // A namespace of our own goes with us.
      if (this.#path !== undefined) {
        disconnect(this.#socket, this.#connected, this.#taps.indexes);
        this.lending.takeBack();
      }
    } finally {
      this.#socket.close();
    }
  }

  /** The interface whose tap has more than the VM's traffic, and its number in the guest. */
  #lender(): Lender | undefined {
    if (!this.#shared) return undefined;
    const own = this.#connected.find(({ ownsIngress }) => ownsIngress);
    const links = readLinks(this.#socket);
    const link = links.find(({ index }) => index === own?.index);
    const device = this.#devices.get(own?.index ?? -1);
    const tapIndex = this.#taps.indexOf(device);
    const tap = links.find(({ index }) => index === tapIndex);
    if (link === undefined || tap === undefined) return undefined;
    return { link, tap, guestIndex: this.#guestIndex(device ?? 0) };
  }

  #guestIndex(device: number): number {
    return this.#indexes.get(device) ?? FIRST_GUEST_INDEX + device;
  }

  /** As told.ts numbers devices: by the guest's indexes. */
  #numbers(): Map<number, number> {
    return new Map([...this.#devices].map(([link, device]) => [link, this.#guestIndex(device) - FIRST_GUEST_INDEX]));
  }

  #record(): void {
    if (this.#path !== undefined) this.#save(this.#changes(this.#path));
  }

  #changes(namespace: string): NetworkChanges {
    return {
      namespace,
      inode: this.#inode,
      interfaces: [...this.#connected],
      ...(this.lending.isLent && { loopback: true }),
    };
  }

  /** Whether it is a new namespace that nobody has put anything into: the usual case, which is not to take time. */
  #isBare(): boolean {
    return this.#path === undefined && selectLinks(readLinks(this.#socket)).length === 0;
  }

  #connect(dump: Dump, links: readonly Link[]): void {
    if (links.length === 0) return;
    this.#connected.push(...planConnections(this.#socket, links));
    this.#record();
    this.#devices = assignDevices(links, this.#devices, this.#taps.count);
    for (const link of links) {
      connect(this.#socket, link, this.#taps.at(this.#devices.get(link.index) ?? -1), dump.links);
    }
  }
}

function networkPath({ linux }: Spec): string | undefined {
  return linux?.namespaces?.find(({ type }) => type === "network")?.path || undefined;
}
