import { closeSync, openSync, statSync } from "node:fs";
import { attachMounts, chroot, cloneMounts, constants, mount, unshare } from "../../native/posix/index.ts";

/**
 * Gives this process a mount namespace of its own, which still receives what the former one mounts and gives nothing back.
 * In a chroot whose / is no mount point it is one from then on. @throws Error of the call that failed.
 */
export function unshareMounts(): void {
  unshare(constants.CLONE_NEWNS);
  try {
    receiveOnly();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EINVAL") throw error;
    mountRoot();
  }
}

/** EINVAL: / is no mount point. */
function receiveOnly(): void {
  mount(null, "/", null, constants.MS_REC | constants.MS_SLAVE, null);
}

/** What is to be bound to itself must not be shared with the host, which its mount point outside of the chroot decides. */
function mountRoot(): void {
  const inside = openSync("/", "r");
  try {
    leaveChroot();
    receiveOnly();
  } finally {
    chroot(inside);
    closeSync(inside);
  }
  const root = cloneMounts("/", true);
  try {
    attachMounts(root, "/");
    chroot(root);
  } finally {
    closeSync(root);
  }
}

/** To the root of all mounts: from a working directory that is not below the root directory, parents lead there (chroot(2)). */
function leaveChroot(): void {
  const outside = openSync("/", "r");
  const below = openSync("/proc", "r");
  let top: number | undefined;
  try {
    chroot(below);
    process.chdir(`/self/fd/${outside}`);
    while (!isSame(".", "..")) process.chdir("..");
    top = openSync(".", "r");
    chroot(top);
  } finally {
    for (const fd of [outside, below, top]) if (fd !== undefined) closeSync(fd);
  }
}

function isSame(one: string, other: string): boolean {
  const [first, second] = [one, other].map((path) => statSync(path, { bigint: true }));
  return first?.dev === second?.dev && first?.ino === second?.ino;
}
