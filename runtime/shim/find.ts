/** Finds the daemon of a container's pod. */
import { once } from "node:events";
import { statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { readDocument } from "../oci/document.ts";
import { podOf } from "../sandbox/spec/cri-annotations.ts";
import { SHIM_ROOT } from "../state/paths.ts";
import type { StateRecord } from "../state/record.ts";
import { readFormerState, readState } from "../state/store.ts";

/** The pod that the bundle's container is in; a sandbox's bundle has no configuration. Throws as readDocument. */
export function groupOf(bundle: string): string | undefined {
  const path = join(bundle, "config.json");
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
  const document = readDocument(path, "CAISSON_E_BUNDLE");
  const annotations = (document as { annotations?: unknown } | null)?.annotations;
  if (typeof annotations !== "object" || annotations === null) return undefined;
  return podOf(annotations as Record<string, string>);
}

/** The record of a pod's daemon, or as much as is left of a damaged one; undefined when there is none. */
export function stateOf(key: string): StateRecord | undefined {
  try {
    return readState(SHIM_ROOT, key);
  } catch {
    return readFormerState(SHIM_ROOT, key);
  }
}

/** Whether a daemon serves there. */
export async function answers(socket: string): Promise<boolean> {
  const connection = connect(socket);
  try {
    await once(connection, "connect");
    return true;
  } catch {
    return false;
  } finally {
    connection.destroy();
  }
}
