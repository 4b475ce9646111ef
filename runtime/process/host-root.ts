/** Whether this process is the host's root: a sandbox's cgroup, mounts, network and users of QEMU are the host's. */
import { readFileSync } from "node:fs";

/** The map of the first user namespace: every id is itself. */
const ALL_IDS = /^\s*0\s+0\s+4294967295\s*$/;

/**
 * @param uidMap /proc/PID/uid_map of this process; undefined on kernels without user namespaces.
 * @returns what this process is instead of the host's root; undefined when it is that.
 */
export function otherThanHostRoot(euid = process.geteuid?.(), uidMap = readUidMap()): string | undefined {
  if (euid !== 0) return "not root";
  if (uidMap === undefined || ALL_IDS.test(uidMap)) return undefined;
  return "root of a user namespace only, as with rootless engines";
}

function readUidMap(): string | undefined {
  try {
    return readFileSync("/proc/self/uid_map", "latin1");
  } catch {
    return undefined;
  }
}
