/** What a container whose daemon has ended leaves on the host. */
import { setTimeout } from "node:timers/promises";
import { CaissonError } from "../../protocol/errors.ts";
import { HostCgroup } from "../sandbox/cgroup.ts";
import type { StateRecord } from "../state/record.ts";
import { readState, removeState } from "../state/store.ts";

const CGROUP_LIMIT_MS = 5000;
const POLL_MS = 5;

/** Removes the cgroup, with whatever a killed daemon left running in it, and the state directory. */
export async function removeStopped(root: string, { id, cgroup }: StateRecord): Promise<void> {
  await removeCgroup(cgroup);
  removeState(root, id);
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
  for (const end = performance.now() + CGROUP_LIMIT_MS; performance.now() < end; await setTimeout(POLL_MS)) {
    // The kernel lets go of a cgroup only some time after its last process has ended.
    if (cgroup.remove()) return;
    cgroup.kill();
  }
  throw new CaissonError("CAISSON_E_CGROUP", `the cgroup ${path} cannot be removed: it is still in use`, {
    remedy: "Look in its cgroup.procs below /sys/fs/cgroup for what uses it.",
  });
}
