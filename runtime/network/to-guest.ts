/** Addresses, routes, rules and neighbours of a network namespace as requests to the guest's kernel. */
import { CaissonError } from "../../protocol/errors.ts";
import { addressText } from "./address-text.ts";
import { type Attribute, bytesOf, encodeAttributes, number, numberOf, parseAttributes } from "./attributes.ts";
import type { Entry } from "./dump.ts";
import { NLM_F_CREATE, NLM_F_REPLACE, type Request } from "./message.ts";

/** The guest's index of an interface, if it has that one. */
export type GuestIndex = (index: number) => number | undefined;
/** The same, for `what` cannot do without; throws when the guest does not have that interface. */
export type ThroughIndex = (index: number, what: string) => number;

const RTM = { NEWADDR: 20, NEWROUTE: 24, NEWNEIGH: 28, NEWRULE: 32 } as const;
const NLM_F_APPEND = 0x800;
const AF_INET = 2;
const AF_INET6 = 10;

const IFA = { ADDRESS: 1, LOCAL: 2, LABEL: 3, BROADCAST: 4, CACHEINFO: 6, FLAGS: 8, RT_PRIORITY: 9 } as const;
const IFA_F = { NODAD: 0x02, DADFAILED: 0x08, PERMANENT: 0x80, NOPREFIXROUTE: 0x200, MCAUTOJOIN: 0x400 } as const;
const RT_SCOPE_LINK = 253;
const RT_SCOPE_HOST = 254;

/** linux/rtnetlink.h */
const RTA = {
  DST: 1,
  SRC: 2,
  OIF: 4,
  GATEWAY: 5,
  PRIORITY: 6,
  PREFSRC: 7,
  METRICS: 8,
  MULTIPATH: 9,
  FLOW: 11,
} as const;
const RTA_LATER = { TABLE: 15, VIA: 18, PREF: 20, ENCAP: 22 } as const;
const RTA_KEPT: ReadonlySet<number> = new Set([
  ...[RTA.DST, RTA.SRC, RTA.OIF, RTA.GATEWAY, RTA.PRIORITY, RTA.PREFSRC, RTA.METRICS, RTA.MULTIPATH, RTA.FLOW],
  ...[RTA_LATER.TABLE, RTA_LATER.VIA, RTA_LATER.PREF],
]);
const RT_TABLE_LOCAL = 255;
const RTPROT = { KERNEL: 2, RA: 9 } as const;
/** unicast, blackhole, unreachable, prohibit, throw: those that somebody configured. */
const ROUTE_TYPES: ReadonlySet<number> = new Set([1, 6, 7, 8, 9]);
const RTM_F_CLONED = 0x200;
/** Pervasive and onlink; the others tell of a state. */
const RTNH_F_CONFIGURED = 0x2 | 0x4;
const RTNEXTHOP_BYTES = 8;

const FRA = { PAD: 18, PROTOCOL: 21 } as const;
/** Inverted, and find the source address. */
const FIB_RULE_CONFIGURED = 0x2 | 0x10000;

const NUD_PERMANENT = 0x80;
const NDA = { DST: 1, LLADDR: 2 } as const;

/** Nothing for an address of an interface that is left out, one that the guest has by itself or that was found taken. */
export function guestAddress({ header, attributes }: Entry, guestIndex: GuestIndex): Request[] {
  const family = header.readUInt8(0);
  const prefix = header.readUInt8(1);
  const scope = header.readUInt8(3);
  const flags = numberOf(attributes, IFA.FLAGS) ?? header.readUInt8(2);
  const address = bytesOf(attributes, IFA.LOCAL) ?? bytesOf(attributes, IFA.ADDRESS);
  const index = guestIndex(header.readUInt32LE(4));
  if (index === undefined || !isIp(family) || address === undefined || isOwnLoopback(family, scope, address)) return [];
  if ((flags & IFA_F.DADFAILED) !== 0) return [];
  const what = `the address ${addressText(address)}/${prefix}`;
  // The owner of the namespace has made sure that nobody else has it, and a program may bind to it at once.
  const kept = (flags & (IFA_F.NOPREFIXROUTE | IFA_F.MCAUTOJOIN)) | (family === AF_INET6 ? IFA_F.NODAD : 0);
  const temporary = family === AF_INET6 && (flags & IFA_F.PERMANENT) === 0;
  const copied = [
    IFA.ADDRESS,
    IFA.LOCAL,
    IFA.LABEL,
    IFA.BROADCAST,
    IFA.RT_PRIORITY,
    ...(temporary ? [IFA.CACHEINFO] : []),
  ];
  const request = Buffer.alloc(8);
  request.writeUInt8(family, 0);
  request.writeUInt8(prefix, 1);
  request.writeUInt8(scope, 3);
  request.writeUInt32LE(index, 4);
  return [
    {
      type: RTM.NEWADDR,
      flags: NLM_F_CREATE | NLM_F_REPLACE,
      header: request,
      attributes: [...only(attributes, copied), number(IFA.FLAGS, kept)],
      doing: `add ${what}`,
    },
  ];
}

/** An IPv6 address that is valid on its link only (fe80::). */
export function isLinkLocal({ header }: Entry): boolean {
  return header.readUInt8(0) === AF_INET6 && header.readUInt8(3) === RT_SCOPE_LINK;
}

/** The routes that somebody configured. The kernel's own come with the addresses, a router's by its advertisements. */
export function guestRoutes(routes: readonly Entry[], guestIndex: ThroughIndex): Request[] {
  // A gateway must be reachable when its route is added.
  const last = ({ attributes }: Entry) =>
    [RTA.GATEWAY, RTA_LATER.VIA, RTA.MULTIPATH].some((type) => bytesOf(attributes, type) !== undefined) ? 1 : 0;
  return routes
    .filter(isConfigured)
    .sort((a, b) => last(a) - last(b))
    .map((route) => guestRoute(route, guestIndex));
}

function isConfigured({ header, attributes }: Entry): boolean {
  const table = numberOf(attributes, RTA_LATER.TABLE) ?? header.readUInt8(4);
  const protocol = header.readUInt8(5);
  return (
    isIp(header.readUInt8(0)) &&
    table !== RT_TABLE_LOCAL &&
    protocol !== RTPROT.KERNEL &&
    protocol !== RTPROT.RA &&
    ROUTE_TYPES.has(header.readUInt8(7)) &&
    (header.readUInt32LE(8) & RTM_F_CLONED) === 0
  );
}

function guestRoute({ header, attributes }: Entry, guestIndex: ThroughIndex): Request {
  const destination = bytesOf(attributes, RTA.DST);
  const what = `the route to ${destination === undefined ? "default" : `${addressText(destination)}/${header.readUInt8(1)}`}`;
  if (bytesOf(attributes, RTA_LATER.ENCAP) !== undefined) {
    throw new CaissonError("CAISSON_E_NETWORK", `cannot copy ${what} into the VM: it encapsulates`);
  }
  const request = Buffer.from(header);
  request.writeUInt32LE(header.readUInt32LE(8) & RTNH_F_CONFIGURED, 8);
  const kept = attributes.filter(({ type }) => RTA_KEPT.has(type));
  return {
    type: RTM.NEWROUTE,
    flags: NLM_F_CREATE | NLM_F_APPEND,
    header: request,
    attributes: kept.map((attribute) => {
      if (attribute.type === RTA.OIF) return number(RTA.OIF, guestIndex(attribute.value.readUInt32LE(0), what));
      if (attribute.type !== RTA.MULTIPATH) return attribute;
      return { type: RTA.MULTIPATH, value: guestNextHops(attribute.value, (index) => guestIndex(index, what)) };
    }),
    doing: `add ${what}`,
  };
}

/** struct rtnexthop: length, flags, weight, interface; then attributes. */
function guestNextHops(hops: Buffer, guestIndex: (index: number) => number): Buffer {
  const copies: Buffer[] = [];
  for (let at = 0; at + RTNEXTHOP_BYTES <= hops.length; ) {
    const length = hops.readUInt16LE(at);
    if (length < RTNEXTHOP_BYTES || at + length > hops.length) throw new RangeError("a next hop is cut short");
    const head = Buffer.from(hops.subarray(at, at + RTNEXTHOP_BYTES));
    const kept = parseAttributes(hops.subarray(at + RTNEXTHOP_BYTES, at + length)).filter(({ type }) =>
      RTA_KEPT.has(type),
    );
    const attributes = encodeAttributes(kept);
    head.writeUInt16LE(RTNEXTHOP_BYTES + attributes.length, 0);
    head.writeUInt8(head.readUInt8(2) & RTNH_F_CONFIGURED, 2);
    head.writeInt32LE(guestIndex(head.readInt32LE(4)), 4);
    copies.push(head, attributes);
    at += (length + 3) & ~3;
  }
  return Buffer.concat(copies);
}

/** A rule of policy routing that somebody configured; it names interfaces, so it needs no translation. */
export function guestRule({ header, attributes }: Entry): Request[] {
  const kernels = bytesOf(attributes, FRA.PROTOCOL)?.readUInt8(0) === RTPROT.KERNEL;
  if (!isIp(header.readUInt8(0)) || kernels) return [];
  const request = Buffer.from(header);
  request.writeUInt32LE(header.readUInt32LE(8) & FIB_RULE_CONFIGURED, 8);
  return [
    {
      type: RTM.NEWRULE,
      flags: NLM_F_CREATE,
      header: request,
      attributes: attributes.filter(({ type }) => type !== FRA.PAD),
      doing: "add a routing rule",
    },
  ];
}

/** Only static ones: the guest finds the others by itself. */
export function guestNeighbour({ header, attributes }: Entry, guestIndex: GuestIndex): Request[] {
  const address = bytesOf(attributes, NDA.DST);
  const permanent = (header.readUInt16LE(8) & NUD_PERMANENT) !== 0;
  const index = guestIndex(header.readInt32LE(4));
  if (index === undefined || !isIp(header.readUInt8(0)) || !permanent || address === undefined) return [];
  const request = Buffer.from(header);
  request.writeInt32LE(index, 4);
  return [
    {
      type: RTM.NEWNEIGH,
      flags: NLM_F_CREATE | NLM_F_REPLACE,
      header: request,
      attributes: only(attributes, [NDA.DST, NDA.LLADDR]),
      doing: `add the neighbour ${addressText(address)}`,
    },
  ];
}

function only(attributes: readonly Attribute[], types: readonly number[]): Attribute[] {
  return attributes.filter(({ type }) => types.includes(type));
}

function isIp(family: number): boolean {
  return family === AF_INET || family === AF_INET6;
}

/** 127.0.0.1 and ::1, which loopback brings along. */
function isOwnLoopback(family: number, scope: number, address: Buffer): boolean {
  if (scope !== RT_SCOPE_HOST) return false;
  const own = family === AF_INET ? "127.0.0.1" : "::1";
  return addressText(address) === own;
}
