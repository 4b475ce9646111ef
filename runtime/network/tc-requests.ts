/**
 * The requests that connect an interface with a tap: whatever comes in at one goes out at the other (tc-u32(8), tc-mirred(8)).
 * The two are in every distribution's kernel, which cannot be said of matchall and flower.
 */
import type { NetlinkSocket } from "../../native/posix/netlink.ts";
import { type Attribute, bytesOf, nested, parseAttributes, text, textOf } from "./attributes.ts";
import { list } from "./dump.ts";
import { NLM_F_CREATE, NLM_F_EXCL, type Request } from "./message.ts";

const RTM_NEWQDISC = 36;
const RTM_DELQDISC = 37;
const RTM_GETQDISC = 38;
const RTM_NEWTFILTER = 44;
const RTM_DELTFILTER = 45;
const RTM_GETTFILTER = 46;
/** struct tcmsg. */
const TCMSG_BYTES = 20;
export const TCA_KIND = 1;
export const TCA_OPTIONS = 2;
/** linux/pkt_sched.h: TC_H_INGRESS is where the qdisc hangs, INGRESS_FILTERS where its filters do, also clsact's. */
const INGRESS_HANDLE = 0xffff0000;
const TC_H_INGRESS = 0xfffffff1;
export const INGRESS_FILTERS = 0xfffffff2;
const ETH_P_ALL = 3;
/** The priority of our filter, and of no other: by it we know the filter again, after a crash too. */
const PRIORITY = 0xca15;
/** The priority of the filters that come before it (loopback.ts). */
export const EARLIER_PRIORITY = 0xca14;
export const TCA_U32 = { SEL: 5, ACT: 7 } as const;
export const TC_U32_TERMINAL = 1;
export const TCA_ACT = { KIND: 1, OPTIONS: 2 } as const;
const TCA_MIRRED_PARMS = 2;
const TC_ACT_STOLEN = 4;
const TCA_EGRESS_REDIR = 1;

/** An interface as errors name it. */
export interface Named {
  index: number;
  name: string;
}

export interface Ingress {
  /** "ingress" or "clsact". */
  kind: string;
}

/** The ingress hooks of the namespace by interface index. */
export function readIngress(socket: NetlinkSocket): Map<number, Ingress> {
  const found = new Map<number, Ingress>();
  for (const { header, attributes } of list(socket, RTM_GETQDISC, TCMSG_BYTES)) {
    if (header.readUInt32LE(12) !== TC_H_INGRESS) continue;
    found.set(header.readInt32LE(4), { kind: textOf(attributes, TCA_KIND) ?? "" });
  }
  return found;
}

/** The filters at an interface's ingress hook: whether each is ours, and where ours sends to. */
export function readFilters(socket: NetlinkSocket, index: number): { ours: boolean; target: number | undefined }[] {
  return list(socket, RTM_GETTFILTER, TCMSG_BYTES, tcmsg(index, 0, INGRESS_FILTERS, 0))
    .filter(({ attributes }) => bytesOf(attributes, TCA_OPTIONS) !== undefined)
    .map(({ header, attributes }) => ({
      ours: [PRIORITY, EARLIER_PRIORITY].includes(header.readUInt32LE(16) >>> 16),
      target: redirectTarget(attributes),
    }));
}

export function addIngress({ index, name }: Named): Request {
  return {
    type: RTM_NEWQDISC,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    header: tcmsg(index, INGRESS_HANDLE, TC_H_INGRESS, 0),
    attributes: [text(TCA_KIND, "ingress")],
    doing: `filter what comes in at ${name} (tc qdisc ingress)`,
  };
}

export function removeIngress({ index, name }: Named): Request {
  return {
    type: RTM_DELQDISC,
    flags: 0,
    header: tcmsg(index, INGRESS_HANDLE, TC_H_INGRESS, 0),
    attributes: [],
    doing: `remove the ingress filters of ${name}`,
  };
}

/** Sends everything that comes in at `from` out at `to`. */
export function redirect(from: Named, to: Named): Request {
  return {
    type: RTM_NEWTFILTER,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    header: tcmsg(from.index, 0, INGRESS_FILTERS, filterInfo()),
    attributes: [
      text(TCA_KIND, "u32"),
      nested(TCA_OPTIONS, [
        { type: TCA_U32.SEL, value: matchAll() },
        nested(TCA_U32.ACT, [
          nested(1, [
            text(TCA_ACT.KIND, "mirred"),
            nested(TCA_ACT.OPTIONS, [{ type: TCA_MIRRED_PARMS, value: mirred(to.index) }]),
          ]),
        ]),
      ]),
    ],
    doing: `redirect ${from.name} to ${to.name} (tc filter u32, action mirred)`,
  };
}

export function removeRedirect({ index, name }: Named): Request {
  return {
    type: RTM_DELTFILTER,
    flags: 0,
    header: tcmsg(index, 0, INGRESS_FILTERS, filterInfo()),
    attributes: [text(TCA_KIND, "u32")],
    doing: `stop redirecting ${name}`,
  };
}

export function tcmsg(index: number, handle: number, parent: number, info: number): Buffer {
  const header = Buffer.alloc(TCMSG_BYTES);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(handle, 8);
  header.writeUInt32LE(parent, 12);
  header.writeUInt32LE(info, 16);
  return header;
}

/** TC_H_MAKE(priority << 16, htons(protocol)). */
function filterInfo(): number {
  return ((PRIORITY << 16) | (ETH_P_ALL << 8)) >>> 0;
}

/** struct tc_u32_sel with one struct tc_u32_key whose mask is zero. */
function matchAll(): Buffer {
  const selector = Buffer.alloc(16 + 16);
  selector.writeUInt8(TC_U32_TERMINAL, 0);
  selector.writeUInt8(1, 2);
  return selector;
}

/** struct tc_mirred. */
function mirred(index: number): Buffer {
  const parameters = Buffer.alloc(28);
  parameters.writeInt32LE(TC_ACT_STOLEN, 8);
  parameters.writeInt32LE(TCA_EGRESS_REDIR, 20);
  parameters.writeUInt32LE(index, 24);
  return parameters;
}

function redirectTarget(attributes: readonly Attribute[]): number | undefined {
  const into = (parts: readonly Attribute[], type: number) => parseAttributes(bytesOf(parts, type) ?? Buffer.alloc(0));
  const action = into(into(into(attributes, TCA_OPTIONS), TCA_U32.ACT), 1);
  const parameters = bytesOf(into(action, TCA_ACT.OPTIONS), TCA_MIRRED_PARMS);
  return parameters !== undefined && parameters.length >= 28 ? parameters.readUInt32LE(24) : undefined;
}
