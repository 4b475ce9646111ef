/** Connecting interfaces of a network namespace with taps, and putting the namespace back as it was. */

import type { NetlinkSocket } from "../../native/posix/netlink.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type { ConnectedInterface } from "../state/record.ts";
import { number } from "./attributes.ts";
import { type Link, readLinks } from "./dump.ts";
import { addressMode, IFF_UP, IFLA, IN6_ADDR_GEN_MODE_NONE, ifinfomsg, RTM_NEWLINK } from "./link.ts";
import { encodeBatch, type Request } from "./message.ts";
import { isTap } from "./selection.ts";
import type { TapLink } from "./taps.ts";
import { addIngress, readFilters, readIngress, redirect, removeIngress, removeRedirect } from "./tc-requests.ts";
import { transact } from "./transact.ts";

/** What connecting an interface will change of it. Changes nothing itself. */
export function planConnections(socket: NetlinkSocket, links: readonly Link[]): ConnectedInterface[] {
  const ingress = readIngress(socket);
  return links.map(({ index, name }) => {
    const hook = ingress.get(index);
    // A hook that holds nothing but a filter of ours was left by a sandbox that was killed.
    const ownsIngress = hook === undefined || (hook.kind === "ingress" && isAllOurs(socket, index));
    return { index, name, ownsIngress };
  });
}

/**
 * Redirects everything between a link and its tap, both ways.
 * @throws CAISSON_E_NETWORK when the kernel refuses, or when another sandbox has the interface. What was done until then is
 *   for disconnect() to undo.
 */
export function connect(socket: NetlinkSocket, link: Link, tap: TapLink, allLinks: readonly Link[]): void {
  const ingress = readIngress(socket);
  const filters = ingress.has(link.index) ? readFilters(socket, link.index) : undefined;
  const ours = filters?.filter((filter) => filter.ours) ?? [];
  const other = allLinks.find((each) => isTap(each) && ours.some(({ target }) => target === each.index));
  if (other !== undefined) {
    throw new CaissonError(
      "CAISSON_E_NETWORK",
      `cannot connect ${link.name} to the VM: another sandbox's VM has it (${other.name})`,
      {
        remedy: "Give each sandbox a network namespace of its own, or run the containers in one pod.",
      },
    );
  }
  // A kernel without IPv6 refuses, and has no such addresses either.
  socket.transact(encodeBatch([withoutAddresses(tap)]));
  transact(socket, [
    ...(ours.length > 0 ? [removeRedirect(link)] : []),
    up(tap, link.mtu),
    // It led to another interface before, which has gone.
    ...(ingress.has(tap.index) ? [removeIngress(tap)] : []),
    addIngress(tap),
    ...(filters === undefined ? [addIngress(link)] : []),
    redirect(tap, link),
    redirect(link, tap),
  ]);
}

/**
 * Takes our filters off the interfaces of a namespace, and the hooks that came with them. Interfaces that are gone and
 * filters of a sandbox that still runs are left alone. May be called again, also by several at once: engines clean up after
 * each container of a pod that has died.
 * @param own the taps that are ours and may still be there.
 * @returns whether none of them was left alone for another sandbox that has it.
 */
export function disconnect(
  socket: NetlinkSocket,
  interfaces: readonly ConnectedInterface[],
  own: readonly number[],
): boolean {
  if (interfaces.length === 0) return true;
  let isDone = true;
  const links = readLinks(socket);
  const ingress = readIngress(socket);
  for (const { index, name, ownsIngress } of interfaces) {
    const link = links.find((each) => each.index === index);
    if (link === undefined || !ingress.has(index)) continue;
    const filters = readFilters(socket, index);
    // Of another name, and without a filter of ours, it is another interface by now; with one it has been renamed.
    if (link.name !== name && !filters.some(({ ours }) => ours)) continue;
    const taken = filters.some(
      ({ ours, target }) =>
        ours &&
        target !== undefined &&
        !own.includes(target) &&
        links.some((each) => isTap(each) && each.index === target),
    );
    if (taken) {
      isDone = false;
      continue;
    }
    if (filters.some(({ ours }) => ours)) {
      remove(socket, removeRedirect(link), () => readFilters(socket, index).some(({ ours }) => ours));
    }
    if (ownsIngress && ingress.get(index)?.kind === "ingress" && filters.every(({ ours }) => ours)) {
      remove(socket, removeIngress(link), () => readIngress(socket).has(index));
    }
  }
  return isDone;
}

/** Done as well when somebody else was quicker, or the interface has gone. */
function remove(socket: NetlinkSocket, request: Request, isThere: () => boolean): void {
  try {
    transact(socket, [request]);
  } catch (error) {
    if (isThere()) throw error;
  }
}

function isAllOurs(socket: NetlinkSocket, index: number): boolean {
  const filters = readFilters(socket, index);
  return filters.length > 0 && filters.every(({ ours }) => ours);
}

/** A tap is a wire, no party: the namespace's kernel gives it no IPv6 address. To be sent before it is up. */
function withoutAddresses({ index, name }: TapLink): Request {
  return {
    type: RTM_NEWLINK,
    flags: 0,
    header: ifinfomsg(index),
    attributes: [addressMode(IN6_ADDR_GEN_MODE_NONE)],
    doing: `keep ${name} without addresses`,
  };
}

function up({ index, name }: TapLink, mtu: number): Request {
  return {
    type: RTM_NEWLINK,
    flags: 0,
    header: ifinfomsg(index, IFF_UP, IFF_UP),
    attributes: [number(IFLA.MTU, mtu)],
    doing: `bring ${name} up with MTU ${mtu}`,
  };
}
