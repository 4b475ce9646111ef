/** The sandbox's own mount namespace, and the one of whoever started the sandbox. */
import { openSync } from "node:fs";
import { chroot, constants, mount, setns, unshare } from "../../native/posix/index.ts";

interface Place {
  namespace: number;
  /** The root directory in it, which in a chroot is not the namespace's own. */
  root: number;
}

/** This process's place and its caller's, once they are two. */
let places: { own: Place; callers: Place } | undefined;

/**
 * Moves this process into a mount namespace of its own, which still receives the host's mounts. Every mount made from now
 * on goes with the process, whatever ends it. Call it before anything starts libuv's thread pool: threads keep the
 * namespace they were born in (unshare(2), CLONE_NEWNS).
 */
export function enterPrivateMountNamespace(): void {
  const callers = openPlace();
  unshare(constants.CLONE_NEWNS);
  mount(null, "/", null, constants.MS_REC | constants.MS_SLAVE, null);
  places = { own: openPlace(), callers };
}

/**
 * Runs something synchronous in the mount namespace that this process was started in: a child started in it stays there, and
 * what it mounts is seen outside.
 */
export function inCallersMountNamespace<T>(run: () => T): T {
  if (places === undefined) return run();
  const directory = process.cwd();
  // setns(2) refuses a thread that shares its root and working directory with others.
  unshare(constants.CLONE_FS);
  try {
    enter(places.callers);
    return run();
  } finally {
    enter(places.own);
    process.chdir(directory);
  }
}

function openPlace(): Place {
  return { namespace: openSync("/proc/thread-self/ns/mnt", "r"), root: openSync("/", "r") };
}

/** setns(2) leads to the namespace's root. */
function enter({ namespace, root }: Place): void {
  setns(namespace, constants.CLONE_NEWNS);
  chroot(root);
}
