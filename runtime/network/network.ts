import { NetlinkSocket } from "../../native/posix/netlink.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { isInGuest } from "../../protocol/guest-contract.ts";
import type { Spec } from "../../protocol/oci.ts";
import type { ConnectedInterface, NetworkChanges } from "../state/record.ts";
import type { NetworkDevice } from "../vm/spec.ts";
import { assignDevices } from "./assignment.ts";
import { type Dump, type Link, readLinks, readNamespace } from "./dump.ts";
import { FIRST_GUEST_INDEX } from "./guest-requests.ts";
import {
  GUEST_ADDRESS,
  guestAccessRequests,
  guestLoopbackRequests,
  hostAccessRequests,
  hostLoopbackRequests,
  ownLoopback,
  shieldLoopback,
} from "./loopback.ts";
import type { Request } from "./message.ts";
import { hasNameServer, NAME_SERVER } from "./name-server.ts";
import { currentNamespaceInode, enterNetworkNamespace, isCurrentNamespace } from "./namespace.ts";
import { selectLinks } from "./selection.ts";
import { connect, disconnect, planConnections } from "./tc-redirect.ts";
import { type GuestRequests, ToldNetwork } from "./told.ts";
import { transact } from "./transact.ts";
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
  readonly #connected: ConnectedInterface[] = [];
  readonly #told = new ToldNetwork();
  /** Whether the interfaces belong to the guest's own network namespace, or to the container's in it. */
  #shared = false;
  /** Whether the namespace's 127.0.0.1 is the VM's. */
  #lent = false;
  #names: Disposable | undefined;
  #open = true;

  private constructor(spec: Spec, save: Save) {
    this.#path = networkPath(spec);
    this.#hasUserNamespace = spec.linux?.namespaces?.some(({ type }) => type === "user") ?? false;
    this.#save = save;
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
      return [];
    }
    const dump = readNamespace(this.#socket);
    const links = selectLinks(dump.links);
    for (const _ of links) this.#taps.add(isTemporary);
    if (links.length === 0) this.#taps.addSpare(isTemporary);
    this.#shared = this.#path !== undefined || (links.length > 0 && !this.#hasUserNamespace);
    this.#connect(dump, links);
    return this.#shared ? this.#told.tell(dump, this.#devices, 0).flatMap(({ requests }) => requests) : [];
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
   * @throws CAISSON_E_NETWORK as connect() does, or when the VM has no device left.
   */
  refresh(pid: number): GuestRequests[] {
    if (this.#isBare()) return [];
    const dump = readNamespace(this.#socket);
    const links = selectLinks(dump.links);
    const late = links.filter(({ index }) => !this.#devices.has(index));
    this.#requireDevices(late);
    this.#connect(dump, late);
    return this.#told.tell(dump, this.#devices, this.#shared ? 0 : pid);
  }

  /**
   * What the guest must be told before lendLoopback(), if that is possible: the VM has an interface, to whose filters nobody
   * else adds. From here on nobody on the wire reaches the guest's loopback.
   * @throws CAISSON_E_NETWORK when the kernel refuses that.
   */
  loopbackRequests(): GuestRequests | undefined {
    const lender = this.#lender();
    if (lender === undefined) return undefined;
    const { link, tap, guestIndex } = lender;
    transact(this.#socket, [shieldLoopback(link)]);
    return { pid: 0, requests: guestLoopbackRequests(guestIndex, tap.mac) };
  }

  /** Makes 127.0.0.1 of the namespace the guest's own, for engines that connect to it to reach what listens there. */
  lendLoopback(): void {
    const lender = this.#lender();
    if (lender === undefined) return;
    this.#lent = true;
    if (this.#path !== undefined) {
      this.#save({ ...this.#changes(this.#path), loopback: true });
    }
    transact(this.#socket, hostLoopbackRequests(lender.link, lender.tap));
  }

  /**
   * Passes the guest's questions on to the name server that Docker has at 127.0.0.11 in the namespace. Rules there lead
   * port 53 to its own port for the namespace's own processes only, as we are one: nobody else listens at that port.
   * @returns what the guest must be told then; undefined where there is no such server, or no interface to reach it by.
   * @throws CAISSON_E_NETWORK when the kernel refuses.
   */
  async nameServerRequests(): Promise<GuestRequests | undefined> {
    const lender = this.#connected.length > 0 && hasNameServer() ? this.#lender() : undefined;
    if (lender === undefined) return undefined;
    const { link, tap, guestIndex } = lender;
    transact(this.#socket, [shieldLoopback(link), ...hostAccessRequests(link, tap, NAME_SERVER)]);
    const { NameProxy } = await import("./name-proxy.ts");
    const server = { address: NAME_SERVER.join("."), port: 53 };
    this.#names = await NameProxy.start(GUEST_ADDRESS.join("."), server, server);
    if (!this.#open) this.#names[Symbol.dispose]();
    return { pid: 0, requests: guestAccessRequests(guestIndex, tap.mac, NAME_SERVER) };
  }

  /** The interface whose tap has more than the VM's traffic, and its number in the guest. */
  #lender(): { link: Link; tap: Link; guestIndex: number } | undefined {
    if (!this.#shared || this.#lent) return undefined;
    const own = this.#connected.find(({ ownsIngress }) => ownsIngress);
    const links = readLinks(this.#socket);
    const link = links.find(({ index }) => index === own?.index);
    const device = this.#devices.get(own?.index ?? -1);
    const tapIndex = this.#taps.indexOf(device);
    const tap = links.find(({ index }) => index === tapIndex);
    if (link === undefined || tap === undefined) return undefined;
    return { link, tap, guestIndex: FIRST_GUEST_INDEX + (device ?? 0) };
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
    this.#names?.[Symbol.dispose]();
    this.#taps.release();
    try {
      // A namespace of our own goes with us.
      if (this.#path !== undefined) {
        disconnect(this.#socket, this.#connected, this.#taps.indexes);
        if (this.#lent) transact(this.#socket, [ownLoopback(true)]);
      }
    } finally {
      this.#socket.close();
    }
  }

  #changes(namespace: string): NetworkChanges {
    return { namespace, inode: this.#inode, interfaces: [...this.#connected] };
  }

  /** Whether it is a new namespace that nobody has put anything into: the usual case, which is not to take time. */
  #isBare(): boolean {
    return this.#path === undefined && selectLinks(readLinks(this.#socket)).length === 0;
  }

  #requireDevices(late: readonly Link[]): void {
    if (this.#devices.size + late.length <= this.#taps.count) return;
    const names = late.map(({ name }) => name).join(", ");
    throw new CaissonError(
      "CAISSON_E_NETWORK",
      `cannot connect ${names} to the VM: its network devices (${this.#taps.count}) are all in use, and a running VM gets no more`,
      { remedy: "Put the interfaces into the network namespace before the container is created." },
    );
  }

  #connect(dump: Dump, links: readonly Link[]): void {
    if (links.length === 0) return;
    this.#connected.push(...planConnections(this.#socket, links));
    if (this.#path !== undefined) this.#save(this.#changes(this.#path));
    this.#devices = assignDevices(links, this.#devices, this.#taps.count);
    for (const link of links) {
      connect(this.#socket, link, this.#taps.at(this.#devices.get(link.index) ?? -1), dump.links);
    }
  }
}

function networkPath({ linux }: Spec): string | undefined {
  return linux?.namespaces?.find(({ type }) => type === "network")?.path || undefined;
}
