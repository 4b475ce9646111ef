import { loadAddon } from "../addon.ts";

/** What a restored process has of its own. */
export interface Restored {
  pid: number;
  /** The program and the words that it would have been started with. */
  words: string[];
}

interface Addon {
  dump(path: string, firstDescriptor: number): Restored | undefined;
}

let addon: Addon | undefined;

/**
 * Writes this process to a file, from which native/snapshot/restore.c makes others that go on here, as one of their own kind: they have
 * the standard streams, the environment and the descriptors of whoever starts them, and are no part of this one. What JavaScript has of
 * a process's own is for the caller to renew.
 * @param path a file that is not there yet. @param firstDescriptor Node.js has its own from this number on; those below are not written.
 * @returns undefined, and once more in each restored process what that is.
 * @throws EBUSY when there is what cannot be restored: memory that is shared with others, or a pipe of others; the system's error.
 */
export function dump(path: string, firstDescriptor: number): Restored | undefined {
  addon ??= loadAddon("snapshot") as Addon;
  return addon.dump(path, firstDescriptor);
}
