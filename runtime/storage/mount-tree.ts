/** What one process sees mounted, shown to another that has a mount namespace of its own. */
import { closeSync, mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { attachMounts, cloneMounts, constants, umount } from "../../native/posix/index.ts";
import { inCallersMountNamespace, inOwnMountNamespace } from "./mount-namespace.ts";
import { unshareMounts } from "./unshare-mounts.ts";

/**
 * All that this process sees, as a descriptor for withMountTree(). Only to be used in a private mount namespace: its mounts
 * receive what the host does and give nothing back, and so do their copies.
 */
export function ownMountTree(): number {
  return cloneMounts("/", true);
}

/**
 * The same of what whoever started this process sees now, which this process need not: the host's mounts reach it only where
 * they are shared, and on hosts without systemd none are. Only to be used in a private mount namespace.
 */
export function callersMountTree(): number {
  return inCallersMountNamespace(() => {
    // The copy of a shared mount is shared, too: taking ours away would take theirs.
    unshareMounts();
    return cloneMounts("/", true);
  });
}

/** Not a name that anything else has. */
const TREE = "~mounts-of-another";

/** A path that withMountTree() has led to, as that other process has it; any other path as it is. */
export function outsideTree(path: string): string {
  const at = path.indexOf(`/${TREE}/`);
  return at < 0 ? path : path.slice(at + TREE.length + 1);
}

/**
 * Runs something synchronous that finds what another process sees below a directory in `parent`, which is there for as
 * long as this takes. What it binds elsewhere stays. Closes the descriptor.
 */
export function withMountTree<T>(tree: number, parent: string, run: (directory: string) => T): T {
  const directory = join(parent, TREE);
  return inOwnMountNamespace(() => {
    try {
      mkdirSync(directory, { recursive: true });
      attachMounts(tree, directory);
      try {
        return run(directory);
      } finally {
        umount(directory, constants.MNT_DETACH | constants.UMOUNT_NOFOLLOW);
        rmdirSync(directory);
      }
    } finally {
      closeSync(tree);
    }
  });
}
