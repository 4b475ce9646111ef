/** Netlink and taps: see index.ts. */
import { addon, type Tap } from "./addon.ts";

/**
 * A netlink socket (netlink(7)) in the calling thread's network namespace, where it stays. Its answers leave the request
 * out and end with the kernel's own words, where it has some; reading gives up after 5 s with EAGAIN.
 * @param protocol 0 for rtnetlink(7).
 */
export function netlinkSocket(protocol: number): number {
  return addon.netlinkSocket(protocol);
}

/**
 * A socket on which rtnetlink(7) tells of changes in the calling thread's network namespace, where it stays; reading does not wait.
 * @param groups RTMGRP_* bits: of what.
 */
export function netlinkWatch(groups: number): number {
  return addon.netlinkWatch(groups);
}

/**
 * A new tap interface with offload headers (IFF_TAP, IFF_NO_PI, IFF_VNET_HDR) in the calling thread's network namespace.
 * @param name at most 15 characters; "%d" in it becomes the first free number.
 * @param persistent whether it stays until its namespace goes. Otherwise it goes when the last copy of its descriptor is
 *   closed, which waits for that (some 15 ms).
 */
export function openTap(name: string, persistent = false): Tap {
  return addon.openTap(name, persistent);
}
