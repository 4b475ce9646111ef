/** The mount namespaces of a sandbox daemon: its own, its caller's, and the one in which it stands for its container. */
import { closeSync, openSync } from "node:fs";
import { chroot, constants, mount, pivotRoot, setns, umount, unshare } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { leaveMounts } from "../process/callers.ts";
import { otherThanHostRoot } from "../process/host-root.ts";
import { mountsBelow } from "../state/mounts-below.ts";
import { systemErrorSentence } from "../text/errors.ts";
import { unshareMounts } from "./unshare-mounts.ts";

interface Place {
  namespace: number;
  /** The root directory, by which paths are looked up; it need not be in the namespace. */
  root: number;
}

/** `here` is where this process is. None until it has moved. */
let places: { callers: Place; own: Place; here: Place } | undefined;

/**
 * Moves this process into a mount namespace of its own, which still receives the host's mounts. Every mount made from now
 * on goes with the process, whatever ends it. Call it before anything starts libuv's thread pool: threads keep the
 * namespace they were born in (unshare(2), CLONE_NEWNS).
 * @throws CaissonError CAISSON_E_HOST when this process is not the host's root, or the kernel refuses.
 */
export function enterPrivateMountNamespace(): void {
  const other = otherThanHostRoot();
  if (other !== undefined) {
    throw new CaissonError("CAISSON_E_HOST", `cannot make a sandbox: this process is ${other}`, {
      remedy: "Run as the host's root.",
    });
  }
  try {
    const callers = openPlace();
    unshareMounts();
    const own = openPlace();
    places = { callers, own, here: own };
    leaveMounts(callers);
  } catch (cause) {
    throw new CaissonError("CAISSON_E_HOST", systemErrorSentence("make a private mount namespace", cause), {
      cause,
      remedy: remedyFor((cause as NodeJS.ErrnoException).code),
    });
  }
}

function remedyFor(code: string | undefined): string {
  if (code === "ENOENT" || code === "ENOTDIR") return "Is /proc mounted?";
  if (code === "EPERM") return "Run as root.";
  return "caisson check tells what this host lacks.";
}

/** Runs something synchronous in the mount namespace that this process was started in: what it mounts is seen outside. */
export function inCallersMountNamespace<T>(run: () => T): T {
  return places === undefined ? run() : visit(places, places.callers, run);
}

/**
 * Runs something synchronous where this process may mount and unmount. Whoever joins our mount namespace meanwhile is there, too: only to be
 * used before this process stands for its container, once that has ended, and for a pod, whose first container has no files for anybody.
 */
export function inOwnMountNamespace<T>(run: () => T): T {
  return places === undefined || places.here === places.own ? run() : visit(places, places.own, run);
}

/** Unmounts all but these mount points, here and for whoever else is in this process's own mount namespace. */
export function dropMounts(kept: readonly string[]): void {
  const others = () => mountsBelow("").filter((path) => !kept.includes(path));
  let before: number;
  // A mount may lie below another, over its mount point: it is found once the other has gone.
  do {
    before = others().length;
    for (const path of others()) {
      try {
        umount(path, constants.MNT_DETACH | constants.UMOUNT_NOFOLLOW);
      } catch {
        // The mount went with another one.
      }
    }
  } while (others().length < before);
}

/** A file or directory of the host, and where it is shown. */
export interface Shown {
  source: string;
  destination: string;
}

/**
 * Makes `root` and what is mounted in it all that those find who join this process's mount namespace; our own paths stay
 * what they are. Engines join the namespace of a container's pid to reach its files (podman cp), and this is that pid.
 * @param root a mount point. @throws Error of the call that failed; nothing has changed then.
 */
export function standFor(root: string, mounts: readonly Shown[]): void {
  if (places === undefined) return;
  const { own } = places;
  const directory = process.cwd();
  try {
    // What is taken out of this one stays in ours, and in QEMU's.
    unshareMounts();
    for (const each of mounts) show(root, each);
    process.chdir(root);
    pivotRoot();
    umount(".", constants.MNT_DETACH);
    chroot(own.root);
    places.here = { namespace: openSync(NAMESPACE, "r"), root: own.root };
  } catch (error) {
    enter(own);
    throw error;
  } finally {
    process.chdir(directory);
  }
}

/** Binds it at its path below the root, whose symbolic links lead nowhere else. Leaves out what is not there. */
function show(root: string, { source, destination }: Shown): void {
  const outside = openSync("/", "r");
  const inside = openSync(root, "r");
  let target: number | undefined;
  try {
    chroot(inside);
    target = openSync(destination, O_PATH);
  } catch {
    // On a file system that only the guest has.
  } finally {
    chroot(outside);
    closeSync(inside);
    closeSync(outside);
  }
  if (target === undefined) return;
  mount(source, `/proc/thread-self/fd/${target}`, null, constants.MS_BIND | constants.MS_REC, null);
  closeSync(target);
}

const NAMESPACE = "/proc/thread-self/ns/mnt";
/** open(2); node:fs does not have it. */
const O_PATH = 0o10000000;

function openPlace(): Place {
  return { namespace: openSync(NAMESPACE, "r"), root: openSync("/", "r") };
}

/** May be called within another visit. */
function visit<T>(places: { here: Place }, place: Place, run: () => T): T {
  const { here } = places;
  const directory = process.cwd();
  try {
    enter(place);
    places.here = place;
    return run();
  } finally {
    enter(here);
    places.here = here;
    process.chdir(directory);
  }
}

/** setns(2) refuses a thread that shares its root and working directory with others, and leads to the namespace's root. */
function enter({ namespace, root }: Place): void {
  unshare(constants.CLONE_FS);
  setns(namespace, constants.CLONE_NEWNS);
  chroot(root);
}
