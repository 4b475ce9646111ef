/** A network for a guest's first device that leads nowhere, put up and taken down again while a template is warmed. */
import { number } from "../../network/attributes.ts";
import type { Dump, Link } from "../../network/dump.ts";
import { contentRequests, FIRST_GUEST_INDEX, linkRequests } from "../../network/guest-requests.ts";
import { IFF_UP, ifinfomsg, RTM_NEWLINK } from "../../network/link.ts";
import { guestLoopbackRequests, routeLocalnet } from "../../network/loopback.ts";
import type { Request } from "../../network/message.ts";
import { initialMac } from "../../vm/spec.ts";

const ARPHRD_ETHER = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const RTM_DELADDR = 21;
const PREFIX = 24;
/** Addresses of TEST-NET-1 (RFC 5737). */
const ADDRESS = Buffer.of(192, 0, 2, 2);
const GATEWAY = Buffer.of(192, 0, 2, 1);
/** What the kernel would make of the interface's own address. */
const LINK_LOCAL = Buffer.from("fe80000000000000a8bbccfffeddee01", "hex");
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const SCOPE_LINK = 253;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RT_TABLE_MAIN = 254;
const RTPROT_STATIC = 4;
const RTN_UNICAST = 1;

const LINK: Link = {
  index: 1,
  name: "eth0",
  type: ARPHRD_ETHER,
  flags: IFF_UP,
  mac: Buffer.from(initialMac(0).replaceAll(":", ""), "hex"),
  mtu: 1500,
  txQueueLength: 1000,
  ownAddress: undefined,
  kind: undefined,
  master: undefined,
  lower: undefined,
};

const DUMP: Dump = {
  links: [LINK],
  addresses: [
    { header: ifaddrmsg(LINK.index), attributes: [{ type: IFA_LOCAL, value: ADDRESS }] },
    {
      header: ifaddrmsg(LINK.index, AF_INET6, 64, SCOPE_LINK),
      attributes: [{ type: IFA_ADDRESS, value: LINK_LOCAL }],
    },
  ],
  routes: [
    {
      header: Buffer.of(AF_INET, 0, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, 0, RTN_UNICAST, 0, 0, 0, 0),
      attributes: [{ type: RTA_GATEWAY, value: GATEWAY }, number(RTA_OIF, LINK.index)],
    },
  ],
  rules: [],
  neighbours: [],
};
const DEVICES = new Map([[LINK.index, 0]]);

export const WARM_NETWORK: readonly Request[] = [...linkRequests(DUMP, DEVICES), ...contentRequests(DUMP, DEVICES)];

/** What a pod's guest is told for its loopback to be lent (network/lending.ts). */
export const WARM_LOOPBACK: readonly Request[] = guestLoopbackRequests(FIRST_GUEST_INDEX, LINK.mac);

export const WARM_NETWORK_UNDONE: readonly Request[] = [
  {
    type: RTM_DELADDR,
    flags: 0,
    header: ifaddrmsg(FIRST_GUEST_INDEX),
    attributes: [{ type: IFA_LOCAL, value: ADDRESS }],
    doing: "remove the address of the warming network",
  },
  {
    type: RTM_NEWLINK,
    flags: 0,
    header: ifinfomsg(FIRST_GUEST_INDEX, 0, IFF_UP),
    attributes: [],
    doing: "bring the warming network down",
  },
  routeLocalnet(FIRST_GUEST_INDEX, "the warming network", false),
];

function ifaddrmsg(index: number, family = AF_INET, prefix = PREFIX, scope = 0): Buffer {
  const header = Buffer.of(family, prefix, 0, scope, 0, 0, 0, 0);
  header.writeUInt32LE(index, 4);
  return header;
}
