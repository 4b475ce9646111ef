/** What a container whose daemon has ended leaves on the host. */
import { setTimeout } from "node:timers/promises";
import { CaissonError } from "../../protocol/errors.ts";
import { restoreNetwork } from "../network/restore.ts";
import type { StateRecord } from "../state/record.ts";
import { readState, removeState } from "../state/store.ts";
import { now } from "../trace.ts";
import { HostCgroup } from "./cgroup.ts";

const CGROUP_LIMIT_MS = 5000;
const POLL_MS = 5;

/**
 * Removes the cgroup, with whatever a killed daemon left running in it, what the VM's network needed in the container's
 * network namespace, and the state directory; then the poststop hooks run.
 */
export async function removeStopped(root: string, record: StateRecord): Promise<void> {
  const { id, cgroup, network, poststop = [] } = record;
  await removeCgroup(cgroup);
  if (network !== undefined) restoreNetwork(network);
  removeState(root, id);
  if (poststop.length === 0) return;
  // Loading what starts programs takes longer than all of a removal without hooks.
  const { runPoststopHooks } = await import("./hooks.ts");
  await runPoststopHooks(poststop, record);
}

/** Does so if the container is that daemon's: the id may be another container's, which was there first. */
export async function removeIfOf(daemonPid: number, root: string, id: string): Promise<void> {
  let record: StateRecord;
  try {
    record = readState(root, id);
  } catch (error) {
    if (error instanceof CaissonError && ["CAISSON_E_NOT_FOUND", "CAISSON_E_ID_INVALID"].includes(error.code)) return;
    throw error;
  }
  if (record.daemon.pid === daemonPid) await removeStopped(root, record);
}

async function removeCgroup(path: string): Promise<void> {
  const cgroup = new HostCgroup(path);
  for (const end = now() + CGROUP_LIMIT_MS; now() < end; await setTimeout(POLL_MS)) {
    // The kernel lets go of a cgroup only some time after its last process has ended.
    if (cgroup.remove()) return;
    cgroup.kill();
  }
  throw new CaissonError("CAISSON_E_CGROUP", `the cgroup ${path} cannot be removed: it is still in use`, {
    remedy: "Look in its cgroup.procs below /sys/fs/cgroup for what uses it.",
  });
}
