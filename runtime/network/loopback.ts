/**
 * The sandbox's loopback, for the host: engines forward a port by connecting to 127.0.0.1 in the network namespace, and who
 * listens there is in the VM. Nothing of it is copied in user space: the namespace's 127.0.0.0/8 is routed into the tap
 * (Documentation/networking/ip-sysctl.rst, route_localnet), and the guest takes it for its own.
 */
import { nested, number, text } from "./attributes.ts";
import { IFLA, ifinfomsg, RTM_NEWLINK } from "./link.ts";
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, type Request } from "./message.ts";
import {
  EARLIER_PRIORITY,
  INGRESS_FILTERS,
  type Named,
  TC_U32_TERMINAL,
  TCA_ACT,
  TCA_KIND,
  TCA_OPTIONS,
  TCA_U32,
  tcmsg,
} from "./redirection.ts";
import type { Link } from "./survey.ts";

/** Between the host's end and the guest alone; link-local, so that nobody routes it. */
const HOST_ADDRESS = Buffer.from([169, 254, 203, 1]);
const GUEST_ADDRESS = Buffer.from([169, 254, 203, 2]);
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
const TCA_GACT_PARMS = 2;
const TC_ACT_SHOT = 2;
/** Of a packet's destination in its IPv4 header. */
const DESTINATION_OFFSET = 16;

/** What the guest's kernel is told about its interface `index`; `mac` is the tap's. */
export function guestLoopbackRequests(index: number, mac: Buffer): Request[] {
  return [
    routeLocalnet(index, "the VM's interface"),
    route(HOST_ADDRESS, 32, RT.SCOPE_LINK, [number(RTA.OIF, index)], 0),
    neighbour(index, HOST_ADDRESS, mac),
  ];
}

/**
 * What the kernel of the namespace is told: `link` is the interface that the tap is connected with. What others send to
 * 127.0.0.0/8 from outside is dropped: the guest, which takes it from the tap, would take it from them (CVE-2020-8558).
 */
export function hostLoopbackRequests(link: Link, tap: Named): Request[] {
  const gateway = [number(RTA.OIF, tap.index), { type: RTA.GATEWAY, value: GUEST_ADDRESS }];
  return [
    filter(link, LOOPBACK_NET, 0xff000000, true),
    filter(tap, HOST_ADDRESS, 0xffffffff, false),
    routeLocalnet(tap.index, tap.name),
    address(RTM.NEWADDR, tap.index, HOST_ADDRESS, 32, 0),
    neighbour(tap.index, GUEST_ADDRESS, link.mac),
    ownLoopback(false),
    route(LOOPBACK_NET, 8, RT.SCOPE_UNIVERSE, [...gateway, { type: RTA.PREFSRC, value: HOST_ADDRESS }], RTNH_F_ONLINK),
  ];
}

/** Gives the namespace its own 127.0.0.1, or takes it away. */
export function ownLoopback(wanted: boolean): Request {
  return address(wanted ? RTM.NEWADDR : RTM.DELADDR, LOOPBACK_INDEX, LOOPBACK_ADDRESS, 8, RT.SCOPE_HOST);
}

function routeLocalnet(index: number, name: string): Request {
  const settings = nested(IFLA_INET_CONF, [number(ROUTE_LOCALNET, 1)]);
  return {
    type: RTM_NEWLINK,
    flags: 0,
    header: ifinfomsg(index),
    attributes: [nested(IFLA.AF_SPEC, [nested(AF_INET, [settings])])],
    doing: `route loopback addresses through ${name}`,
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
): Request {
  const header = Buffer.from([AF_INET, prefix, 0, 0, RT.TABLE_MAIN, RT.PROTOCOL_BOOT, scope, RT.UNICAST, 0, 0, 0, 0]);
  header.writeUInt32LE(flags, 8);
  return {
    type: RTM.NEWROUTE,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    header,
    attributes: [{ type: RTA.DST, value: destination }, ...attributes],
    doing: `add the route ${[...destination].join(".")}/${prefix}`,
  };
}

/** Drops what comes in at an interface for these addresses, or lets it be the namespace's own instead of the VM's. */
function filter({ index, name }: Named, destination: Buffer, mask: number, drop: boolean): Request {
  const verdict = drop
    ? nested(TCA_U32.ACT, [
        nested(1, [
          text(TCA_ACT.KIND, "gact"),
          nested(TCA_ACT.OPTIONS, [{ type: TCA_GACT_PARMS, value: gact(TC_ACT_SHOT) }]),
        ]),
      ])
    : number(TCA_U32_CLASSID, 1);
  const info = ((EARLIER_PRIORITY << 16) | ((ETH_P_IP & 0xff) << 8) | (ETH_P_IP >> 8)) >>> 0;
  return {
    type: RTM.NEWTFILTER,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    header: tcmsg(index, 0, INGRESS_FILTERS, info),
    attributes: [
      text(TCA_KIND, "u32"),
      nested(TCA_OPTIONS, [{ type: TCA_U32.SEL, value: match(destination, mask) }, verdict]),
    ],
    doing: `filter what comes in at ${name} for ${[...destination].join(".")}`,
  };
}

/** struct tc_u32_sel with one struct tc_u32_key. */
function match(destination: Buffer, mask: number): Buffer {
  const selector = Buffer.alloc(16 + 16);
  selector.writeUInt8(TC_U32_TERMINAL, 0);
  selector.writeUInt8(1, 2);
  selector.writeUInt32BE(mask, 16);
  destination.copy(selector, 20);
  selector.writeInt32LE(DESTINATION_OFFSET, 24);
  return selector;
}

/** struct tc_gact. */
function gact(action: number): Buffer {
  const parameters = Buffer.alloc(20);
  parameters.writeInt32LE(action, 8);
  return parameters;
}
