/** Network namespaces that this process enters, for good or for a moment. */
import { closeSync, fstatSync, openSync, statSync } from "node:fs";
import { constants, setns, unshare } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import { leaveNetwork } from "../process/callers.ts";
import { systemErrorSentence } from "../text/errors.ts";

const FIELD = "linux.namespaces[network].path";
const OWN = "/proc/thread-self/ns/net";

/**
 * Moves the main thread into the network namespace at `path`, or into a new one, for good: children start there, and
 * /proc/<our pid>/ns/net is it. libuv's threads may stay behind: they open no sockets.
 * @throws CAISSON_E_NETWORK when it cannot be entered, CAISSON_E_CONFIG_UNSUPPORTED when it is the host's own.
 */
export function enterNetworkNamespace(path: string | undefined): void {
  const before = open(OWN);
  try {
    enter(path, true);
    leaveNetwork(before);
  } catch (error) {
    closeSync(before);
    throw error;
  }
}

/**
 * Runs something synchronous in the network namespace at `path`, or in a new one, and comes back. Sockets and taps that it
 * opens stay there.
 */
export function inNetworkNamespace<T>(path: string | undefined, run: () => T): T {
  const own = open(OWN);
  try {
    enter(path, false);
    try {
      return run();
    } finally {
      setns(own, constants.CLONE_NEWNET);
    }
  } finally {
    closeSync(own);
  }
}

function enter(path: string | undefined, refuseHosts: boolean): void {
  if (path === undefined) {
    attempt("make a network namespace", () => unshare(constants.CLONE_NEWNET));
    return;
  }
  const fd = open(path);
  try {
    if (refuseHosts && isHosts(fd)) {
      throw new CaissonError(
        "CAISSON_E_CONFIG_UNSUPPORTED",
        `${FIELD}: ${path} is the host's own network, which a VM cannot share`,
        {
          field: FIELD,
          remedy: "Give the container a network namespace of its own.",
        },
      );
    }
    attempt(`enter the network namespace ${path}`, () => setns(fd, constants.CLONE_NEWNET));
  } finally {
    closeSync(fd);
  }
}

/** The inode of the namespace that the main thread is in. */
export function currentNamespaceInode(): string {
  return statSync(OWN, { bigint: true }).ino.toString();
}

/** Whether the path is the namespace that the main thread is in. */
export function isCurrentNamespace(path: string): boolean {
  const other = attempt(`look at the network namespace ${path}`, () => statSync(path, { bigint: true }));
  const own = statSync(OWN, { bigint: true });
  return other.ino === own.ino && other.dev === own.dev;
}

/** What we were started in, or PID 1's: connecting its interfaces would take the host off its network. */
function isHosts(fd: number): boolean {
  return isSame(OWN, fd) || isSame("/proc/1/ns/net", fd);
}

/** A container's root may not look at PID 1's; then it cannot have been given it either. */
function isSame(path: string, fd: number): boolean {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    const other = fstatSync(fd, { bigint: true });
    return dev === other.dev && ino === other.ino;
  } catch {
    return false;
  }
}

function open(path: string): number {
  return attempt(`open the network namespace ${path}`, () => openSync(path, "r"));
}

function attempt<T>(doing: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    throw new CaissonError("CAISSON_E_NETWORK", systemErrorSentence(doing, cause), { cause, field: FIELD });
  }
}
