/** What is in a network namespace, as rtnetlink(7) lists it. */
import type { NetlinkSocket } from "../../native/posix/netlink.ts";
import { type Attribute, bytesOf, numberOf, parseAttributes, textOf } from "./attributes.ts";
import { AF_INET6, IFLA, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE, RTM_NEWLINK } from "./link.ts";
import { encodeDump } from "./message.ts";

/** A listed object: the fixed part of its message and its attributes. */
export interface Entry {
  header: Buffer;
  attributes: readonly Attribute[];
}

export interface Link {
  index: number;
  name: string;
  /** ARPHRD_*. */
  type: number;
  /** IFF_*. */
  flags: number;
  mac: Buffer;
  mtu: number;
  txQueueLength: number;
  /** How the kernel makes its IPv6 link-local address (IN6_ADDR_GEN_MODE_*); undefined where it makes none. */
  ownAddress: number | undefined;
  /** "veth", "macvlan", "tun" ...; absent for hardware. */
  kind: string | undefined;
  /** The bridge, bond or vrf that it is part of. */
  master: number | undefined;
  /** The interface of the same namespace that it is stacked on. */
  lower: number | undefined;
}

export interface Dump {
  links: readonly Link[];
  addresses: readonly Entry[];
  routes: readonly Entry[];
  rules: readonly Entry[];
  neighbours: readonly Entry[];
}

const RTM_GETLINK = 18;
const RTM_GETADDR = 22;
const RTM_GETROUTE = 26;
const RTM_GETNEIGH = 30;
const RTM_GETRULE = 34;
/** struct ifinfomsg, ifaddrmsg, rtmsg, ndmsg, fib_rule_hdr. */
const HEADER_BYTES = { link: 16, address: 8, route: 12, neighbour: 12, rule: 12 } as const;
const IFLA_INFO_KIND = 1;
/** The interface's settings below /proc/sys/net/ipv6/conf, by number (linux/ipv6.h, DEVCONF_*). */
const IFLA_INET6_CONF = 2;
const DISABLE_IPV6 = 26;

/** Reads the namespace that the socket is in. A few system calls. */
export function readNamespace(socket: NetlinkSocket): Dump {
  return {
    links: readLinks(socket),
    addresses: list(socket, RTM_GETADDR, HEADER_BYTES.address),
    routes: list(socket, RTM_GETROUTE, HEADER_BYTES.route),
    rules: list(socket, RTM_GETRULE, HEADER_BYTES.rule),
    neighbours: list(socket, RTM_GETNEIGH, HEADER_BYTES.neighbour),
  };
}

export function readLinks(socket: NetlinkSocket): Link[] {
  return list(socket, RTM_GETLINK, HEADER_BYTES.link).map(parseLink);
}

/** @param header of the request: zero asks for everything. */
export function list(socket: NetlinkSocket, type: number, headerBytes: number, header?: Buffer): Entry[] {
  // The kernel's answer to a GET is the NEW of the same kind, two below it.
  const wanted = type - (RTM_GETLINK - RTM_NEWLINK);
  return socket
    .dump(encodeDump(type, header ?? Buffer.alloc(headerBytes)))
    .filter((message) => message.type === wanted)
    .map(({ payload }) => ({
      header: payload.subarray(0, headerBytes),
      attributes: parseAttributes(payload.subarray(headerBytes)),
    }));
}

export function parseLink({ header, attributes }: Entry): Link {
  const info = bytesOf(attributes, IFLA.LINKINFO);
  const parent = numberOf(attributes, IFLA.LINK);
  const elsewhere = bytesOf(attributes, IFLA.LINK_NETNSID) !== undefined;
  const kind = info === undefined ? undefined : textOf(parseAttributes(info), IFLA_INFO_KIND);
  return {
    type: header.readUInt16LE(2),
    index: header.readInt32LE(4),
    flags: header.readUInt32LE(8),
    name: textOf(attributes, IFLA.IFNAME) ?? "",
    mac: bytesOf(attributes, IFLA.ADDRESS) ?? Buffer.alloc(0),
    mtu: numberOf(attributes, IFLA.MTU) ?? 0,
    txQueueLength: numberOf(attributes, IFLA.TXQLEN) ?? 0,
    ownAddress: ownAddress(bytesOf(attributes, IFLA.AF_SPEC)),
    kind,
    master: numberOf(attributes, IFLA.MASTER),
    // The peer of a veth is told in the same field.
    lower: elsewhere || kind === "veth" || parent === 0 ? undefined : parent,
  };
}

function ownAddress(families: Buffer | undefined): number | undefined {
  const ipv6 = families === undefined ? undefined : bytesOf(parseAttributes(families), AF_INET6);
  if (ipv6 === undefined) return undefined;
  const attributes = parseAttributes(ipv6);
  const settings = bytesOf(attributes, IFLA_INET6_CONF);
  const isOff =
    settings === undefined || settings.length < 4 * (DISABLE_IPV6 + 1) || settings.readInt32LE(4 * DISABLE_IPV6) !== 0;
  const mode = bytesOf(attributes, IFLA_INET6_ADDR_GEN_MODE)?.readUInt8(0);
  return isOff || mode === IN6_ADDR_GEN_MODE_NONE ? undefined : mode;
}
