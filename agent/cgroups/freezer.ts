import type { Cgroup } from "./cgroup.ts";
import { waitForLine } from "./events.ts";

/** Stops all processes of the cgroup and answers when the last one has stopped. */
export async function freeze(cgroup: Cgroup): Promise<void> {
  cgroup.write("cgroup.freeze", "1");
  await waitForLine(`${cgroup.path}/cgroup.events`, "frozen 1");
}

/** Lets the cgroup's processes go on. */
export async function thaw(cgroup: Cgroup): Promise<void> {
  cgroup.write("cgroup.freeze", "0");
  await waitForLine(`${cgroup.path}/cgroup.events`, "frozen 0");
}
