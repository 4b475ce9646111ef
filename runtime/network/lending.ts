import type { NetlinkSocket } from "../../native/posix/netlink.ts";
import type { Link } from "./dump.ts";
import {
  GUEST_ADDRESS,
  guestAccessRequests,
  guestLoopbackRequests,
  hostAccessRequests,
  hostLoopbackRequests,
  ownLoopback,
  shieldLoopback,
} from "./loopback.ts";
import { hasNameServer, NAME_SERVER } from "./name-server.ts";
import type { GuestRequests } from "./told.ts";
import { transact } from "./transact.ts";

/** The interface whose tap has more than the VM's traffic, and its number in the guest. */
export interface Lender {
  link: Link;
  tap: Link;
  guestIndex: number;
}

/** What else goes through one of a VM's taps: the namespace's loopback, which is the guest's, and a name server of the namespace. */
export class Lending {
  readonly #socket: NetlinkSocket;
  readonly #find: () => Lender | undefined;
  readonly #record: () => void;
  /** Whether the namespace's 127.0.0.1 is the VM's. */
  #lent = false;
  #names: Disposable | undefined;
  /** The interface by which the guest reaches the name server. */
  #namesLink: number | undefined;
  #open = true;

  /** @param record puts on record that the loopback is lent. */
  constructor(socket: NetlinkSocket, find: () => Lender | undefined, record: () => void) {
    this.#socket = socket;
    this.#find = find;
    this.#record = record;
  }

  get isLent(): boolean {
    return this.#lent;
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
    this.#record();
    transact(this.#socket, hostLoopbackRequests(lender.link, lender.tap));
  }

  /**
   * Passes the guest's questions on to the name server that Docker has at 127.0.0.11 in the namespace. Rules there lead
   * port 53 to its own port for the namespace's own processes only, as we are one: nobody else listens at that port.
   * @returns what the guest must be told then; undefined where there is no such server, or no interface to reach it by.
   * @throws CAISSON_E_NETWORK when the kernel refuses.
   */
  async nameServerRequests(): Promise<GuestRequests | undefined> {
    const lender = this.#names === undefined && hasNameServer() ? this.#lender() : undefined;
    if (lender === undefined) return undefined;
    const { link, tap, guestIndex } = lender;
    transact(this.#socket, [shieldLoopback(link), ...hostAccessRequests(link, tap, NAME_SERVER)]);
    const { NameProxy } = await import("./name-proxy.ts");
    const server = { address: NAME_SERVER.join("."), port: 53 };
    this.#namesLink = link.index;
    this.#names = await NameProxy.start(GUEST_ADDRESS.join("."), server, server);
    if (!this.#open) this.#closeNames();
    return { pid: 0, requests: guestAccessRequests(guestIndex, tap.mac, NAME_SERVER) };
  }

  /** The VM no longer has that interface. */
  leaves(link: number): void {
    if (this.#namesLink === link) this.#closeNames();
  }

  /** Gives the namespace its 127.0.0.1 back. */
  takeBack(): void {
    if (this.#lent) transact(this.#socket, [ownLoopback(true)]);
  }

  close(): void {
    this.#open = false;
    this.#closeNames();
  }

  /** To the filters of a tap that is lent already nobody adds. */
  #lender(): Lender | undefined {
    return this.#lent ? undefined : this.#find();
  }

  #closeNames(): void {
    this.#names?.[Symbol.dispose]();
    this.#names = undefined;
    this.#namesLink = undefined;
  }
}
