import { CaissonError } from "../../protocol/errors.ts";
import type { Cgroup } from "../cgroups/cgroup.ts";
import { CGROUP_FIELD } from "../plan/namespaces.ts";

export interface JoinedCgroup {
  /** The container's. */
  cgroup: Cgroup | undefined;
  /** Mount point of the hierarchy. */
  root: string;
  /** Where the process is to be, below the container's cgroup; empty for as usual. */
  told: string;
  initPid: number;
}

/**
 * Launches a process where it is told; else in the container's cgroup, or where the container's init is when that takes no
 * processes: its controllers have been passed on to cgroups below it (cgroup-v2.rst, No Internal Process Constraint).
 * @throws as `launch` does; CAISSON_E_CGROUP when there is no such cgroup.
 */
export async function inCgroup<T>(
  { cgroup, root, told, initPid }: JoinedCgroup,
  launch: (path: string) => Promise<T>,
): Promise<T> {
  if (cgroup === undefined) return await launch("");
  if (told !== "") return await launch(cgroup.below(told));
  try {
    return await launch(cgroup.path);
  } catch (error) {
    const refused = error instanceof CaissonError && error.field === CGROUP_FIELD;
    const path = refused ? cgroup.pathOf(initPid, root) : undefined;
    if (path === undefined || path === cgroup.path) throw error;
    return await launch(path);
  }
}
