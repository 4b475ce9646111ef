import { CaissonError } from "../../protocol/errors.ts";
import type { ContainerStatus } from "../../protocol/oci.ts";
import { type ControlClient, connectControl } from "../control/client.ts";
import { statePaths } from "../state/paths.ts";
import type { StateRecord } from "../state/record.ts";
import { readState } from "../state/store.ts";
import type { Globals } from "./command.ts";

/** What to say when the container is in a state that the verb is not for. */
export type Forbidden = Partial<Record<ContainerStatus, string>>;

export interface Found extends StateRecord {
  /** The container's state directory. */
  directory: string;
}

/**
 * Runs `action` with a connection to the daemon of the container's sandbox.
 * @throws CaissonError CAISSON_E_NOT_FOUND for an unknown id, CAISSON_E_STATE with the text of `forbidden`, and what
 *   `action` throws; a daemon that ended under it is told as `forbidden.stopped`.
 */
export async function withDaemon<T>(
  { root }: Globals,
  id: string,
  forbidden: Forbidden & { stopped: string },
  action: (client: ControlClient, found: Found) => Promise<T>,
): Promise<T> {
  const record = readState(root, id);
  const text = forbidden[record.status];
  if (text !== undefined) throw new CaissonError("CAISSON_E_STATE", text);
  const { directory } = statePaths(root, id);
  try {
    using client = await connectControl(directory);
    return await action(client, { ...record, directory });
  } catch (error) {
    if (!(error instanceof CaissonError) || error.code !== "CAISSON_E_VM_DIED") throw error;
    const { status } = readState(root, id);
    if (status === "stopped") throw new CaissonError("CAISSON_E_STATE", forbidden.stopped, { cause: error });
    if (status === "creating") {
      throw new CaissonError("CAISSON_E_STATE", `container ${id} is still being created`, { cause: error });
    }
    throw error;
  }
}
