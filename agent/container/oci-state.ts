/** What the guest's /proc tells of a container's init while it waits to be started. */
import { openSync, readFileSync } from "node:fs";
import { CaissonError } from "../../protocol/errors.ts";
import type { Spec, State } from "../../protocol/oci.ts";

/** The OCI state (runtime.md, State) as hooks in the container get it; the pid becomes the one that they see. */
export function stateJson(
  { annotations = {}, ociVersion }: Spec,
  state: Pick<State, "id" | "status" | "bundle"> & { pid: number },
): string {
  const { id, status, pid, bundle } = state;
  return JSON.stringify({ ociVersion, id, status, pid: ownPid(pid), bundle, annotations } satisfies State);
}

/** The descriptor of a process's network namespace. @throws CAISSON_E_PROCESS_SETUP when the process has gone. */
export function openNetwork(pid: number): number {
  try {
    return openSync(`/proc/${pid}/ns/net`, "r");
  } catch (cause) {
    const message = "the process ended while it waited to be started: a system call filter that kills may be why";
    throw new CaissonError("CAISSON_E_PROCESS_SETUP", message, { cause });
  }
}

/** A process's pid in its own pid namespace (proc(5), NSpid). */
function ownPid(pid: number): number {
  const pids = /^NSpid:(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? "";
  return Number(pids.trim().split("\t").at(-1));
}
