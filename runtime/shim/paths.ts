import { createHash } from "node:crypto";
import { join } from "node:path";
import { SHIM_ROOT, statePaths } from "../state/paths.ts";

export interface ShimPaths {
  /** Names the sandbox among all that shims have: its state's id. */
  key: string;
  /** The Task service's socket. */
  socket: string;
  /** Where operators ask. */
  controlSocket: string;
  share: string;
  consoleLog: string;
  /** Folder for the files of a sandbox that containerd makes. */
  sandbox: string;
}

/**
 * The paths of the sandbox `group` in a containerd's namespace. The same for every call, so that shims of one pod find
 * each other; another's for another containerd (`address`).
 */
export function shimPaths(address: string, namespace: string, group: string): ShimPaths {
  const key = createHash("sha256").update([address, namespace, group].join("\0")).digest("hex").slice(0, 32);
  const { directory, share, consoleLog, controlSocket } = statePaths(SHIM_ROOT, key);
  return {
    key,
    socket: join(directory, "shim.sock"),
    controlSocket,
    share,
    consoleLog,
    sandbox: join(directory, "sandbox"),
  };
}
