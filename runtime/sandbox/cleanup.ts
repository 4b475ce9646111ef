/** What a container whose daemon has ended leaves on the host. */
import { CaissonError } from "../../protocol/errors.ts";
import { removeCgroup } from "../cgroup/remove.ts";
import { restoreNetwork } from "../network/restore.ts";
import type { ProcessIdentity } from "../state/process-identity.ts";
import type { StateRecord } from "../state/record.ts";
import { readState, removeState } from "../state/store.ts";

/**
 * Removes the cgroup, with whatever a killed daemon left running in it, what the VM's network needed in the container's
 * network namespace, and the state directory; then the poststop hooks run.
 */
export async function removeStopped(root: string, record: StateRecord): Promise<void> {
  const { id, cgroupFolders = [], guestPid, network, poststop = [] } = record;
  await removeCgroup(cgroupFolders, guestPid !== undefined);
  if (network !== undefined) restoreNetwork(network);
  removeState(root, id);
  if (poststop.length === 0) return;
  // Loading what starts programs takes longer than all of a removal without hooks.
  const { runPoststopHooks } = await import("./hooks.ts");
  await runPoststopHooks(poststop, record);
}

/** Does so if the container is that daemon's: the id may be another container's, which was there first. */
export async function removeIfOf(daemon: ProcessIdentity | undefined, root: string, id: string): Promise<void> {
  let record: StateRecord;
  try {
    record = readState(root, id);
  } catch (error) {
    if (error instanceof CaissonError && ["CAISSON_E_NOT_FOUND", "CAISSON_E_ID_INVALID"].includes(error.code)) return;
    throw error;
  }
  const { pid, startTime, bootId } = record.daemon;
  const isIts = pid === daemon?.pid && startTime === daemon.startTime && bootId === daemon.bootId;
  if (isIts) await removeStopped(root, record);
}
