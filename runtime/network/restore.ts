import { statfsSync, statSync } from "node:fs";
import { NetlinkSocket } from "../../native/posix/netlink.ts";
import type { NetworkChanges } from "../state/record.ts";
import { pause } from "../text/pause.ts";
import { ownLoopback } from "./loopback.ts";
import { inNetworkNamespace } from "./namespace.ts";
import { disconnect } from "./tc-redirect.ts";
import { transact } from "./transact.ts";

/** linux/magic.h */
const NSFS_MAGIC = 0x6e736673;
/** A VM has its taps a moment longer than its daemon that was killed. Past this they are another sandbox's. */
const VM_END_LIMIT_MS = 1000;
const PAUSE_MS = 10;

/**
 * Puts a network namespace back as it was, after its sandbox was killed. Nothing to do for one that is gone, or goes, and for
 * what is at its path by now.
 */
export function restoreNetwork(changes: NetworkChanges): void {
  if (!isStillThere(changes)) return;
  const { namespace, interfaces, loopback } = changes;
  try {
    using socket = inNetworkNamespace(namespace, () => new NetlinkSocket());
    const end = performance.now() + VM_END_LIMIT_MS;
    while (!disconnect(socket, interfaces, []) && performance.now() < end) {
      pause(PAUSE_MS);
    }
    if (loopback === true) transact(socket, [ownLoopback(true)]);
  } catch (error) {
    if (isStillThere(changes)) throw error;
  }
}

/** Whether the path leads to the namespace that was changed. A file that is left of its name is none. */
function isStillThere({ namespace, inode }: NetworkChanges): boolean {
  try {
    if (statfsSync(namespace).type !== NSFS_MAGIC) return false;
    return inode === undefined || statSync(namespace, { bigint: true }).ino.toString() === inode;
  } catch {
    return false;
  }
}
