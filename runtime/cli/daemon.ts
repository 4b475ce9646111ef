import { CaissonError } from "../../protocol/errors.ts";
import { type ControlClient, connectControl } from "../control/client.ts";
import { type Action, requireAllowed } from "../guest/lifecycle.ts";
import { statePaths } from "../state/paths.ts";
import type { StateRecord } from "../state/record.ts";
import { readState } from "../state/store.ts";
import type { Globals } from "./command.ts";

export interface Found extends StateRecord {
  /** The container's state directory. */
  directory: string;
}

/**
 * Carries an action out by a connection to the daemon of the container's sandbox.
 * @throws CaissonError CAISSON_E_NOT_FOUND for an unknown id, CAISSON_E_STATE where the action is not allowed, also when the
 *   daemon ended under it, and what `carryOut` throws.
 */
export async function withDaemon<T>(
  { root }: Globals,
  id: string,
  action: Action,
  carryOut: (client: ControlClient, found: Found) => Promise<T>,
): Promise<T> {
  const record = readState(root, id);
  requireAllowed(action, id, record.status);
  const { directory } = statePaths(root, id);
  try {
    using client = await connectControl(directory);
    return await carryOut(client, { ...record, directory });
  } catch (error) {
    if (!(error instanceof CaissonError) || error.code !== "CAISSON_E_VM_DIED") throw error;
    const { status } = readState(root, id);
    if (status === "stopped" || status === "creating") requireAllowed(action, id, status, { cause: error });
    throw error;
  }
}
