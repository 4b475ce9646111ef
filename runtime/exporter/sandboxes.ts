/** The sandboxes of a host: those of the command line's states, and those of containerd and CRI-O. */
import { join } from "node:path";
import { CaissonError } from "../../protocol/errors.ts";
import { ENGINE_NAMESPACE, ENGINE_SANDBOX, SHIM_ROOT, statePaths } from "../state/paths.ts";
import type { StateRecord } from "../state/record.ts";
import { listStates } from "../state/store.ts";

export interface KnownSandbox {
  /** How its engine calls it, or else its container's id. */
  id: string;
  /** Directory of its state, and the root that this is in. */
  directory: string;
  root: string;
  /** containerd's namespace; empty for others. */
  namespace: string;
  record: StateRecord;
}

/** All that have a record, those that have stopped as well. @param skipped is told of records that cannot be read. */
export function knownSandboxes(
  root: string,
  skipped: (reason: string) => void = () => {},
  shimRoot = SHIM_ROOT,
): KnownSandbox[] {
  return [root, ...(shimRoot === root ? [] : [shimRoot])].flatMap((each) =>
    listStates(each, skipped).map((record) => known(each, record)),
  );
}

/**
 * The sandbox that somebody means: by the engine's id of it, or the beginning of that from 8 characters on, or by the id of its state.
 * @throws CaissonError CAISSON_E_NOT_FOUND; CAISSON_E_USAGE when several are meant.
 */
export function findSandbox(sandboxes: readonly KnownSandbox[], id: string): KnownSandbox {
  const exact = sandboxes.filter((each) => each.id === id || each.record.id === id);
  const found = exact.length > 0 || id.length < SHORTEST ? exact : sandboxes.filter((each) => each.id.startsWith(id));
  const [first, second] = found;
  if (first === undefined) {
    throw new CaissonError("CAISSON_E_NOT_FOUND", `there is no sandbox or container "${id}"`, {
      remedy: "see caisson list, crictl pods or podman ps for those that exist",
    });
  }
  if (second === undefined) return first;
  const places = found.map(({ directory }) => directory).join(", ");
  throw new CaissonError("CAISSON_E_USAGE", `"${id}" may be any of ${places}`, { remedy: "give more of the id" });
}

/** The fewest characters by which the beginning of an id names it. */
const SHORTEST = 8;

function known(root: string, record: StateRecord): KnownSandbox {
  const { annotations = {} } = record;
  return {
    id: (root === SHIM_ROOT && annotations[ENGINE_SANDBOX]) || record.id,
    directory: statePaths(root, record.id).directory,
    root,
    namespace: (root === SHIM_ROOT && annotations[ENGINE_NAMESPACE]) || "",
    record,
  };
}

/** Names a sandbox where the engine's ids meet: two of containerd's namespaces may have the same. */
export function uniqueIds(sandboxes: readonly KnownSandbox[]): Map<KnownSandbox, string> {
  const seen = new Set<string>();
  return new Map(
    sandboxes.map((each) => {
      const id = seen.has(each.id) ? join(each.root, each.record.id) : each.id;
      seen.add(id);
      return [each, id];
    }),
  );
}
