import { userInfo } from "node:os";
import { CaissonError } from "../../protocol/errors.ts";
import { processIdentity } from "./process-identity.ts";
import type { StateRecord } from "./record.ts";

/**
 * The record of a container, or of a pod, that this process is to stand for.
 * @throws CaissonError CAISSON_E_HOST when /proc does not show this process.
 */
export function newRecord(
  known: Pick<StateRecord, "id" | "status" | "bundle" | "rootfs" | "annotations" | "cgroup" | "poststop">,
): StateRecord {
  const daemon = processIdentity();
  if (daemon === undefined)
    throw new CaissonError("CAISSON_E_HOST", "/proc does not show this process: is it mounted?");
  return { ...known, created: new Date().toISOString(), owner: userInfo().username, daemon };
}
