import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { constants, flock } from "../../../../native/posix/index.ts";
import { MANIFEST_FILE } from "../../template/template.ts";
import { forkServerPid } from "../fork-server.ts";

/**
 * The right to make the fork server of a template, for as long as the descriptor is open.
 * @returns undefined when another process has it, or there is a fork server.
 * @throws the system's error when the template has been removed.
 */
export function lockForkServer(templateFolder: string): number | undefined {
  const lock = openSync(join(templateFolder, MANIFEST_FILE), "r");
  if (flock(lock, constants.LOCK_EX | constants.LOCK_NB) && forkServerPid(templateFolder) === undefined) return lock;
  closeSync(lock);
  return undefined;
}
