/** Namespaces and the root directory: see index.ts. */
import { addon } from "./addon.ts";

/**
 * unshare(2), of the calling thread only. Threads of libuv's pool that already run (any asynchronous fs call starts
 * them) stay in the old namespace, so a process that means itself as a whole does this first, before anything that is
 * asynchronous; children and threads started later follow. CLONE_NEWUSER is EINVAL: Node is multi-threaded.
 */
export function unshare(flags: number): void {
  addon.unshare(flags);
}

/**
 * setns(2), of the calling thread only: see unshare().
 * @param nstype the one CLONE_NEW* flag the descriptor must be of, or 0 for any.
 */
export function setns(fd: number, nstype: number): void {
  addon.setns(fd, nstype);
}

/** chroot(2) to an open directory, which becomes the working directory, too; of the calling thread only after unshare(CLONE_FS). */
export function chroot(fd: number): void {
  addon.chroot(fd);
}

/** pivot_root(2): the working directory, a mount, becomes the root, and has the old root mounted on it. */
export function pivotRoot(): void {
  addon.pivotRoot();
}
