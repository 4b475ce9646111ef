/** Where a container's files are on the host: all below `<root>/<id>`, which removeState() removes. */
import { dirname, join } from "node:path";

export const DEFAULT_ROOT = "/run/caisson";
/** Where the states of containerd's sandboxes are; `caisson` and its verbs have their own. */
export const SHIM_ROOT = "/run/caisson-shim";
/** Annotations of the records there: the engine's socket, of which CRI-O has none, its namespace, and its name of the sandbox. */
export const ENGINE = "io.caisson.shim.address";
export const ENGINE_NAMESPACE = "io.caisson.shim.namespace";
export const ENGINE_SANDBOX = "io.caisson.shim.group";

export interface StatePaths {
  directory: string;
  /** The record (record.ts). */
  record: string;
  /** The record before the last change: what is left to go by when that is damaged. */
  formerRecord: string;
  /** The daemon's socket; longer than a socket address can be, so it is reached through socketAddress(). */
  controlSocket: string;
  /** The last part of the guest's serial console. */
  consoleLog: string;
  /** Mount point of the directory that the guest sees. */
  share: string;
}

export function statePaths(root: string, id: string): StatePaths {
  const directory = join(root, id);
  return {
    directory,
    record: join(directory, "state.json"),
    formerRecord: join(directory, "state.json.former"),
    controlSocket: join(directory, "control.sock"),
    consoleLog: join(directory, "console.log"),
    share: join(directory, "share"),
  };
}

/** Where the agent's log is kept of the sandbox whose console's log is this. */
export function guestLogPath(consoleLog: string): string {
  return join(dirname(consoleLog), "guest.log");
}
