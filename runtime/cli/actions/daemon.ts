import { CaissonError } from "../../../protocol/errors.ts";
import { ask } from "../../control/ask.ts";
import type { ControlClient } from "../../control/client.ts";
import type { GlobalSettings } from "../../control/plain-command.ts";
import type { Verb, Verbs } from "../../control/protocol.ts";
import { type Action, requireAllowed } from "../../guest/lifecycle.ts";
import { statePaths } from "../../state/paths.ts";
import type { StateRecord } from "../../state/record.ts";
import { readState } from "../../state/store.ts";

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
  { root }: GlobalSettings,
  id: string,
  action: Action,
  carryOut: (client: ControlClient, found: Found) => Promise<T>,
): Promise<T> {
  const found = findAllowed(root, id, action);
  // Verbs that ask one thing do not load it.
  const { connectControl } = await import("../../control/client.ts");
  try {
    using client = await connectControl(found.directory);
    return await carryOut(client, found);
  } catch (error) {
    explainEnd(error, root, id, action);
    throw error;
  }
}

/** Carries an action out by asking that daemon one thing, and waits for the answer. Throws as withDaemon() does. */
export function askDaemon<V extends Verb & Action>(
  { root }: GlobalSettings,
  id: string,
  verb: V,
  params: Verbs[V]["params"],
): Verbs[V]["result"] {
  const { directory } = findAllowed(root, id, verb);
  try {
    return ask(directory, verb, params);
  } catch (error) {
    explainEnd(error, root, id, verb);
    throw error;
  }
}

function findAllowed(root: string, id: string, action: Action): Found {
  const record = readState(root, id);
  requireAllowed(action, id, record.status);
  return { ...record, directory: statePaths(root, id).directory };
}

/** Throws why the action is not allowed any more, if that is why the daemon has not answered. */
export function explainEnd(error: unknown, root: string, id: string, action: Action): void {
  if (!(error instanceof CaissonError) || error.code !== "CAISSON_E_VM_DIED") return;
  const { status } = readState(root, id);
  if (status === "stopped" || status === "creating") requireAllowed(action, id, status, { cause: error });
}
