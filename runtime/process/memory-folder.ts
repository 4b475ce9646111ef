/** Where this host keeps in memory what all its sandboxes share, until its next boot. */
import { statfsSync } from "node:fs";

const TMPFS_MAGIC = 0x01021994;
/** Below this, a tmpfs at /run is too small to keep guests' memory in beside what the host keeps there. */
const ROOMY_BYTES = 1024 * 1024 * 1024;

/** Apart from the containers' states: guests' memory belongs on a tmpfs. /run is one on most hosts, /dev/shm on all. */
export function memoryFolder(): string {
  return `${isRoomyTmpfs("/run") ? "/run" : "/dev/shm"}/caisson-vm`;
}

function isRoomyTmpfs(path: string): boolean {
  try {
    const { type, blocks, bsize } = statfsSync(path);
    return type === TMPFS_MAGIC && blocks * bsize >= ROOMY_BYTES;
  } catch {
    return false;
  }
}
