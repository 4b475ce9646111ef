/** Which interfaces of a network namespace the VM gets. */
import { CaissonError } from "../../protocol/errors.ts";
import { numberOf } from "./attributes.ts";
import type { Dump, Link } from "./dump.ts";
import { IFF_LOOPBACK, IFF_UP } from "./link.ts";

const ARPHRD_ETHER = 1;
/** linux/rtnetlink.h */
const RTA_OIF = 4;
/** The names of our taps begin with it, and no other interface's should. */
export const TAP_PREFIX = "caisson";

/**
 * Every Ethernet interface that stands for itself. Left out: loopback, our own taps, those that are part of a bridge or bond,
 * and what is no Ethernet while it is down (tunnel modules put such interfaces into every namespace).
 * @throws CAISSON_E_NETWORK for one that is in use and cannot be given to a VM.
 */
export function selectLinks(links: readonly Link[]): Link[] {
  const candidates = links.filter((link) => !isLoopback(link) && link.master === undefined && !isTap(link));
  const selected = candidates.filter((link) => link.type === ARPHRD_ETHER && !isFallback(link));
  for (const link of candidates) {
    if (link.type !== ARPHRD_ETHER && isUp(link)) throw refused(link, "it is no Ethernet interface");
    const lower = selected.find(({ index }) => index === link.lower);
    if (lower !== undefined && isUp(link)) throw refused(link, `it is stacked on ${lower.name}, which the VM gets`);
  }
  return selected;
}

export function isLoopback({ flags }: Link): boolean {
  return (flags & IFF_LOOPBACK) !== 0;
}

export function isUp({ flags }: Link): boolean {
  return (flags & IFF_UP) !== 0;
}

export function isTap({ name, kind }: Link): boolean {
  return kind === "tun" && name.startsWith(TAP_PREFIX);
}

/** The namespace but for what we have put into it ourselves: addresses, routes and neighbours of our taps (lending.ts). */
export function withoutTaps(dump: Dump): Dump {
  const taps = new Set(dump.links.filter(isTap).map(({ index }) => index));
  return {
    ...dump,
    addresses: dump.addresses.filter(({ header }) => !taps.has(header.readUInt32LE(4))),
    routes: dump.routes.filter(({ attributes }) => !taps.has(numberOf(attributes, RTA_OIF) ?? 0)),
    neighbours: dump.neighbours.filter(({ header }) => !taps.has(header.readInt32LE(4))),
  };
}

/** gretap0 and erspan0, which ip_gre puts into every namespace. */
function isFallback(link: Link): boolean {
  return !isUp(link) && ["gretap", "erspan", "ip6gretap", "ip6erspan"].includes(link.kind ?? "");
}

function refused({ name }: Link, why: string): CaissonError {
  return new CaissonError("CAISSON_E_NETWORK", `cannot connect ${name} to the VM: ${why}`, {
    remedy: "Take the interface down or out of the network namespace.",
  });
}
