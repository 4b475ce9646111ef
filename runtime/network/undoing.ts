/** Requests that undo what other requests to the guest's kernel have done. Pure functions. */
import { bytesOf } from "./attributes.ts";
import { IFF_UP, ifinfomsg, RTM_NEWLINK } from "./link.ts";
import type { Request } from "./message.ts";

/** RTM_NEW... to RTM_DEL... (linux/rtnetlink.h). */
const RTM = { NEWADDR: 20, NEWROUTE: 24, NEWNEIGH: 28, NEWRULE: 32 } as const;
const OPPOSITE: ReadonlyMap<number, number> = new Map(Object.values(RTM).map((type) => [type, type + 1]));
const IFA = { ADDRESS: 1, LOCAL: 2 } as const;
const IFINFOMSG_FLAGS_AT = 8;

/** Takes an address, a route, a rule or a neighbour away again, and a link that was brought up down; undefined for what cannot be undone. */
export function undoing(request: Request): Request | undefined {
  const doing = `undo: ${request.doing}`;
  if (request.type === RTM_NEWLINK) {
    if ((request.header.readUInt32LE(IFINFOMSG_FLAGS_AT) & IFF_UP) === 0) return undefined;
    return { ...request, header: ifinfomsg(request.header.readInt32LE(4), 0, IFF_UP), attributes: [], doing };
  }
  const type = OPPOSITE.get(request.type);
  return type === undefined ? undefined : { ...request, type, flags: 0, doing };
}

export function isAddressOrRoute({ type }: Request): boolean {
  return [RTM.NEWADDR, RTM.NEWADDR + 1, RTM.NEWROUTE, RTM.NEWROUTE + 1].includes(type);
}

/** Whether both are about the same address of the same interface: the kernel replaces one by the other. */
export function sameObject(one: Request, other: Request): boolean {
  return one.type === RTM.NEWADDR && other.type === RTM.NEWADDR && addressOf(one) === addressOf(other);
}

function addressOf({ header, attributes }: Request): string {
  const address = bytesOf(attributes, IFA.LOCAL) ?? bytesOf(attributes, IFA.ADDRESS);
  return [header.readUInt8(0), header.readUInt8(1), header.readUInt32LE(4), address?.toString("hex")].join(" ");
}
