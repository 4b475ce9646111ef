/**
 * The sandbox's loopback, for the host: engines forward a port by connecting to 127.0.0.1 in the network namespace, and who
 * listens there is in the VM. Nothing of it is copied in user space: the namespace's 127.0.0.0/8 is routed into the tap
 * (Documentation/networking/ip-sysctl.rst, route_localnet), and the guest takes it for its own.
 */
import { nested, number, text } from "./attributes.ts";
import type { Link } from "./dump.ts";
import { IFLA, ifinfomsg, RTM_NEWLINK } from "./link.ts";
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, type Request } from "./message.ts";
import {
  EARLIER_PRIORITY,
  INGRESS_FILTERS,
  type Named,
  TC_U32_TERMINAL,
  TCA_KIND,
  TCA_OPTIONS,
  TCA_U32,
  tcmsg,
} from "./tc-requests.ts";

/** Between the host's end and the guest alone; link-local, so that nobody routes it. */
const HOST_ADDRESS = Buffer.from([169, 254, 203, 1]);
export const GUEST_ADDRESS = Buffer.from([169, 254, 203, 2]);
const LOOPBACK_NET = Buffer.from([127, 0, 0, 0]);
const LOOPBACK_ADDRESS = Buffer.from([127, 0, 0, 1]);
const LOOPBACK_INDEX = 1;

const AF_INET = 2;
const RTM = { NEWADDR: 20, DELADDR: 21, NEWROUTE: 24, NEWNEIGH: 28, NEWTFILTER: 44 } as const;
const IFA = { ADDRESS: 1, LOCAL: 2 } as const;
const NDA = { DST: 1, LLADDR: 2 } as const;
const NUD_PERMANENT = 0x80;
const RTA = { DST: 1, OIF: 4, GATEWAY: 5, PREFSRC: 7 } as const;
const RT = {
  TABLE_MAIN: 254,
  TABLE_LOCAL: 255,
  PROTOCOL_BOOT: 3,
  SCOPE_UNIVERSE: 0,
  SCOPE_LINK: 253,
  SCOPE_HOST: 254,
  UNICAST: 1,
} as const;
const RTNH_F_ONLINK = 4;
const IFLA_INET_CONF = 1;
/** linux/ip.h, IPV4_DEVCONF_ROUTE_LOCALNET */
const ROUTE_LOCALNET = 26;
const ETH_P_IP = 0x0800;
const TCA_U32_CLASSID = 1;
/** linux/pkt_cls.h */
const TCA_BPF = { OPS_LEN: 4, OPS: 5, NAME: 7, FLAGS: 8 } as const;
const TCA_BPF_FLAG_ACT_DIRECT = 1;
const TC_ACT_UNSPEC = 0xffffffff;
const TC_ACT_SHOT = 2;
/** Where the destination is in a packet's IPv4 header. */
const DESTINATION_OFFSET = 16;
/** A classifier's program sees the frame from its Ethernet header on. */
const ETHERNET_BYTES = 14;
/** linux/filter.h: ld w [k]; and #k; jeq #k; ret #k */
const BPF = { LOAD_WORD: 0x20, AND: 0x54, JUMP_EQUAL: 0x15, RETURN: 0x06 } as const;
const INSTRUCTION_BYTES = 8;

/**
 * Drops what comes in at the interface for 127.0.0.0/8: the guest, which is to take that from the tap, would take it from
 * anybody on the wire (CVE-2020-8558). To be there before the guest takes any. A program of classic BPF (tc-bpf(8)),
 * since kernels may lack the action gact.
 */
export function shieldLoopback({ index, name }: Named): Request {
  const program = Buffer.concat([
    instruction(BPF.LOAD_WORD, ETHERNET_BYTES + DESTINATION_OFFSET),
    instruction(BPF.AND, 0xff000000),
    instruction(BPF.JUMP_EQUAL, LOOPBACK_NET.readUInt32BE(0), 0, 1),
    instruction(BPF.RETURN, TC_ACT_SHOT),
    instruction(BPF.RETURN, TC_ACT_UNSPEC),
  ]);
  const length = Buffer.alloc(2);
  length.writeUInt16LE(program.length / INSTRUCTION_BYTES);
  return {
    type: RTM.NEWTFILTER,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    header: tcmsg(index, 0, INGRESS_FILTERS, earlierInfo()),
    attributes: [
      text(TCA_KIND, "bpf"),
      nested(TCA_OPTIONS, [
        { type: TCA_BPF.OPS_LEN, value: length },
        { type: TCA_BPF.OPS, value: program },
        text(TCA_BPF.NAME, "caisson"),
        number(TCA_BPF.FLAGS, TCA_BPF_FLAG_ACT_DIRECT),
      ]),
    ],
    doing: `drop what comes in at ${name} for loopback addresses (tc filter bpf)`,
  };
}

/** What the guest's kernel is told about its interface `index`; `mac` is the tap's. */
export function guestLoopbackRequests(index: number, mac: Buffer): Request[] {
  return [
    routeLocalnet(index, "the VM's interface"),
    route(HOST_ADDRESS, 32, RT.SCOPE_LINK, [number(RTA.OIF, index)], 0),
    neighbour(index, HOST_ADDRESS, mac),
  ];
}

/** What the kernel of the namespace is told: `link` is the interface that the tap is connected with. */
export function hostLoopbackRequests(link: Link, tap: Named): Request[] {
  const gateway = [number(RTA.OIF, tap.index), { type: RTA.GATEWAY, value: GUEST_ADDRESS }];
  return [
    takeFromTap(tap, HOST_ADDRESS),
    routeLocalnet(tap.index, tap.name),
    address(RTM.NEWADDR, tap.index, HOST_ADDRESS, 32, 0),
    neighbour(tap.index, GUEST_ADDRESS, link.mac),
    ownLoopback(false),
    route(LOOPBACK_NET, 8, RT.SCOPE_UNIVERSE, [...gateway, { type: RTA.PREFSRC, value: HOST_ADDRESS }], RTNH_F_ONLINK),
  ];
}

/** What the kernel of the namespace is told for the guest to reach what listens at one of its loopback addresses. */
export function hostAccessRequests(link: Link, tap: Named, loopbackAddress: Buffer): Request[] {
  return [
    takeFromTap(tap, loopbackAddress),
    routeLocalnet(tap.index, tap.name),
    route(GUEST_ADDRESS, 32, RT.SCOPE_LINK, [number(RTA.OIF, tap.index)], 0),
    neighbour(tap.index, GUEST_ADDRESS, link.mac),
  ];
}

/**
 * What the guest's kernel is told for that: the address is not its own any more. Among its own addresses the longest prefix
 * counts, so the route is put there. `mac` is the tap's.
 */
export function guestAccessRequests(index: number, mac: Buffer, loopbackAddress: Buffer): Request[] {
  const gateway = [number(RTA.OIF, index), { type: RTA.GATEWAY, value: HOST_ADDRESS }];
  const attributes = [...gateway, { type: RTA.PREFSRC, value: GUEST_ADDRESS }];
  return [
    routeLocalnet(index, "the VM's interface"),
    address(RTM.NEWADDR, LOOPBACK_INDEX, GUEST_ADDRESS, 32, RT.SCOPE_HOST),
    neighbour(index, HOST_ADDRESS, mac),
    route(loopbackAddress, 32, RT.SCOPE_UNIVERSE, attributes, RTNH_F_ONLINK, RT.TABLE_LOCAL),
  ];
}

/** Gives the namespace its own 127.0.0.1, or takes it away. */
export function ownLoopback(wanted: boolean): Request {
  return address(wanted ? RTM.NEWADDR : RTM.DELADDR, LOOPBACK_INDEX, LOOPBACK_ADDRESS, 8, RT.SCOPE_HOST);
}

/** Whether loopback addresses are routed through the interface. */
export function routeLocalnet(index: number, name: string, wanted = true): Request {
  const settings = nested(IFLA_INET_CONF, [number(ROUTE_LOCALNET, wanted ? 1 : 0)]);
  return {
    type: RTM_NEWLINK,
    flags: 0,
    header: ifinfomsg(index),
    attributes: [nested(IFLA.AF_SPEC, [nested(AF_INET, [settings])])],
    doing: `${wanted ? "route" : "no longer route"} loopback addresses through ${name}`,
  };
}

function address(type: number, index: number, value: Buffer, prefix: number, scope: number): Request {
  const header = Buffer.alloc(8);
  header.writeUInt8(AF_INET, 0);
  header.writeUInt8(prefix, 1);
  header.writeUInt8(scope, 3);
  header.writeUInt32LE(index, 4);
  const attributes = [
    { type: IFA.LOCAL, value },
    { type: IFA.ADDRESS, value },
  ];
  const doing = `${type === RTM.NEWADDR ? "add" : "remove"} the address ${[...value].join(".")}`;
  return { type, flags: type === RTM.NEWADDR ? NLM_F_CREATE | NLM_F_REPLACE : 0, header, attributes, doing };
}

function neighbour(index: number, value: Buffer, mac: Buffer): Request {
  const header = Buffer.alloc(12);
  header.writeUInt8(AF_INET, 0);
  header.writeInt32LE(index, 4);
  header.writeUInt16LE(NUD_PERMANENT, 8);
  const attributes = [
    { type: NDA.DST, value },
    { type: NDA.LLADDR, value: mac },
  ];
  const doing = `add the neighbour ${[...value].join(".")}`;
  return { type: RTM.NEWNEIGH, flags: NLM_F_CREATE | NLM_F_REPLACE, header, attributes, doing };
}

function route(
  destination: Buffer,
  prefix: number,
  scope: number,
  attributes: Request["attributes"],
  flags: number,
  table: number = RT.TABLE_MAIN,
): Request {
  const header = Buffer.from([AF_INET, prefix, 0, 0, table, RT.PROTOCOL_BOOT, scope, RT.UNICAST, 0, 0, 0, 0]);
  header.writeUInt32LE(flags, 8);
  return {
    type: RTM.NEWROUTE,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    header,
    attributes: [{ type: RTA.DST, value: destination }, ...attributes],
    doing: `add the route ${[...destination].join(".")}/${prefix}`,
  };
}

/** Lets what the guest answers be the namespace's own: everything else that comes from the tap goes to the wire. */
function takeFromTap({ index, name }: Named, destination: Buffer): Request {
  const options = [{ type: TCA_U32.SEL, value: match(destination) }, number(TCA_U32_CLASSID, 1)];
  return {
    type: RTM.NEWTFILTER,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    header: tcmsg(index, 0, INGRESS_FILTERS, earlierInfo()),
    attributes: [text(TCA_KIND, "u32"), nested(TCA_OPTIONS, options)],
    doing: `take what comes in at ${name} for ${[...destination].join(".")}`,
  };
}

function earlierInfo(): number {
  return ((EARLIER_PRIORITY << 16) | ((ETH_P_IP & 0xff) << 8) | (ETH_P_IP >> 8)) >>> 0;
}

/** struct tc_u32_sel with one struct tc_u32_key. */
function match(destination: Buffer): Buffer {
  const selector = Buffer.alloc(16 + 16);
  selector.writeUInt8(TC_U32_TERMINAL, 0);
  selector.writeUInt8(1, 2);
  selector.writeUInt32BE(0xffffffff, 16);
  destination.copy(selector, 20);
  selector.writeInt32LE(DESTINATION_OFFSET, 24);
  return selector;
}

/** struct sock_filter. */
function instruction(code: number, operand: number, ifTrue = 0, ifFalse = 0): Buffer {
  const bytes = Buffer.alloc(INSTRUCTION_BYTES);
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt8(ifTrue, 2);
  bytes.writeUInt8(ifFalse, 3);
  bytes.writeUInt32LE(operand, 4);
  return bytes;
}
