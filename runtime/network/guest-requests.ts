/** The requests that give the guest's interfaces what those of the network namespace have. A pure function. */
import { CaissonError } from "../../protocol/errors.ts";
import { number, text } from "./attributes.ts";
import type { Dump, Link } from "./dump.ts";
import {
  addressMode,
  IFF_NOARP,
  IFF_UP,
  IFLA,
  IN6_ADDR_GEN_MODE_EUI64,
  IN6_ADDR_GEN_MODE_NONE,
  ifinfomsg,
  RTM_NEWLINK,
} from "./link.ts";
import type { Request } from "./message.ts";
import { isLoopback, isUp } from "./selection.ts";
import { guestAddress, guestNeighbour, guestRoutes, guestRule, isLinkLocal } from "./to-guest.ts";

/**
 * The guest numbers its interfaces by the order of their devices, after loopback (1). The agent tells when that is not so
 * (protocol/agent.proto, CheckResponse.network_macs).
 */
export const FIRST_GUEST_INDEX = 2;
/** The first process of the guest, which is in the guest's own network namespace. */
const GUEST_INIT = 1;
const LOOPBACK_INDEX = 1;

/** Which of the VM's network devices, from 0, an interface of the namespace has; by its index there. */
export type Devices = ReadonlyMap<number, number>;

/**
 * The links themselves: address, MTU and name. They are down before and after. Their link-local addresses are among those that
 * are copied; a link that has none yet, since it has only just come up, makes the same in the guest by itself.
 */
export function linkRequests({ links, addresses }: Pick<Dump, "links" | "addresses">, devices: Devices): Request[] {
  const known = new Set(addresses.filter(isLinkLocal).map(({ header }) => header.readUInt32LE(4)));
  return connected(links, devices).map(({ link, index }) => ({
    type: RTM_NEWLINK,
    flags: 0,
    header: ifinfomsg(index),
    attributes: [
      { type: IFLA.ADDRESS, value: link.mac },
      number(IFLA.MTU, link.mtu),
      text(IFLA.IFNAME, link.name),
      number(IFLA.TXQLEN, link.txQueueLength),
      addressMode(
        link.ownAddress === undefined || known.has(link.index) ? IN6_ADDR_GEN_MODE_NONE : IN6_ADDR_GEN_MODE_EUI64,
      ),
    ],
    doing: `make ${link.name} with MTU ${link.mtu}`,
  }));
}

/** Moves the links into the network namespace of a process of the guest. */
export function moveRequests(links: readonly Link[], devices: Devices, pid: number): Request[] {
  return connected(links, devices).map(({ link, index }) => ({
    type: RTM_NEWLINK,
    flags: 0,
    header: ifinfomsg(index),
    attributes: [number(IFLA.NET_NS_PID, pid)],
    doing: `move ${link.name} into the container's network namespace`,
  }));
}

/** Moves an interface of the guest's back from a container's network namespace, whatever it is called there. */
export function moveBackRequest(index: number): Request {
  return {
    type: RTM_NEWLINK,
    flags: 0,
    header: ifinfomsg(index),
    attributes: [number(IFLA.NET_NS_PID, GUEST_INIT), text(IFLA.IFNAME, "gone%d")],
    doing: `move interface ${index} out of the container's network namespace`,
  };
}

/** What the links carry: that they are up, addresses, routes, rules and static neighbours, in an order that works. */
export function contentRequests(dump: Dump, devices: Devices): Request[] {
  const links = connected(dump.links, devices);
  const indexes = new Map(links.map(({ link, index }) => [link.index, index]));
  for (const link of dump.links) if (isLoopback(link)) indexes.set(link.index, LOOPBACK_INDEX);
  const guestIndex = (index: number): number | undefined => indexes.get(index);
  const throughIndex = (index: number, what: string): number => {
    const found = indexes.get(index);
    if (found !== undefined) return found;
    const name = dump.links.find((link) => link.index === index)?.name ?? `interface ${index}`;
    throw new CaissonError(
      "CAISSON_E_NETWORK",
      `cannot copy ${what} into the VM: it leads through ${name}, which the VM does not get`,
    );
  };
  return [
    ...links.filter(({ link }) => isUp(link)).map(({ link, index }) => upRequest(link, index)),
    ...dump.addresses.flatMap((entry) => guestAddress(entry, guestIndex)),
    ...guestRoutes(dump.routes, throughIndex),
    ...dump.rules.flatMap(guestRule),
    ...dump.neighbours.flatMap((entry) => guestNeighbour(entry, guestIndex)),
  ];
}

function upRequest({ name, flags }: Link, index: number): Request {
  const change = IFF_UP | IFF_NOARP;
  return {
    type: RTM_NEWLINK,
    flags: 0,
    header: ifinfomsg(index, flags & change, change),
    attributes: [],
    doing: `bring ${name} up`,
  };
}

function connected(links: readonly Link[], devices: Devices): { link: Link; index: number }[] {
  return links.flatMap((link) => {
    const device = devices.get(link.index);
    return device === undefined ? [] : [{ link, index: FIRST_GUEST_INDEX + device }];
  });
}
