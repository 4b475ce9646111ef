/** A network for a guest's first device that leads nowhere, put up and taken down again while a template is warmed. */
import { number } from "../../network/attributes.ts";
import type { Dump, Link } from "../../network/dump.ts";
import { contentRequests, FIRST_GUEST_INDEX, linkRequests } from "../../network/guest-requests.ts";
import { IFF_UP, ifinfomsg, RTM_NEWLINK } from "../../network/link.ts";
import type { Request } from "../../network/message.ts";
import { initialMac } from "../../vm/spec.ts";

const ARPHRD_ETHER = 1;
const AF_INET = 2;
const RTM_DELADDR = 21;
const PREFIX = 24;
/** Addresses of TEST-NET-1 (RFC 5737). */
const ADDRESS = Buffer.of(192, 0, 2, 2);
const GATEWAY = Buffer.of(192, 0, 2, 1);
const IFA_LOCAL = 2;
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
  addresses: [{ header: ifaddrmsg(LINK.index), attributes: [{ type: IFA_LOCAL, value: ADDRESS }] }],
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
];

function ifaddrmsg(index: number): Buffer {
  const header = Buffer.of(AF_INET, PREFIX, 0, 0, 0, 0, 0, 0);
  header.writeUInt32LE(index, 4);
  return header;
}
