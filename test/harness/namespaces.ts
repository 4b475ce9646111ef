/** Interfaces and network namespaces for tests. */
import { execFileSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { NetlinkSocket } from "../../native/posix/netlink.ts";
import type { Link } from "../../runtime/network/dump.ts";
import { IFF_UP, IN6_ADDR_GEN_MODE_EUI64 } from "../../runtime/network/link.ts";
import { inNetworkNamespace } from "../../runtime/network/namespace.ts";

/** A veth that is up, but for what is given. */
export function link(given: Partial<Link> = {}): Link {
  return {
    index: 2,
    name: "eth0",
    type: 1,
    flags: IFF_UP,
    mac: Buffer.from("ee31b325d56a", "hex"),
    mtu: 1500,
    txQueueLength: 1000,
    ownAddress: IN6_ADDR_GEN_MODE_EUI64,
    kind: "veth",
    master: undefined,
    lower: undefined,
    ...given,
  };
}

/** A network namespace that is gone with its last descriptor. Needs root and iproute2. */
export class ScratchNamespace implements Disposable {
  readonly #fd: number;

  constructor() {
    this.#fd = inNetworkNamespace(undefined, () => openSync("/proc/thread-self/ns/net", "r"));
    this.ip("link set lo up");
  }

  get path(): string {
    return `/proc/${process.pid}/fd/${this.#fd}`;
  }

  run<T>(what: () => T): T {
    return inNetworkNamespace(this.path, what);
  }

  /** Runs an `ip` command for each line; what they print. */
  ip(commands: string): string {
    return this.command("ip", commands);
  }

  command(program: string, commands: string): string {
    const lines = commands.trim().split(/\s*\n\s*/);
    return this.run(() => lines.map((line) => execFileSync(program, line.split(" "), { encoding: "utf8" })).join(""));
  }

  /** A veth from here to another namespace, where its other end is up. `more` are words of `ip link add`. */
  veth(name: string, to: ScratchNamespace, far: string, more = ""): void {
    this.ip(`link add ${name}${more} type veth peer name ${far} netns ${to.path}`);
    to.ip(`link set ${far} up`);
  }

  socket(): NetlinkSocket {
    return this.run(() => new NetlinkSocket());
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
