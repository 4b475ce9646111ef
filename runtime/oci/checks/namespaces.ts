/** config-linux.md: Namespaces, User namespace mappings, Offset for Time Namespace. */
import type { IdMapping, NamespaceType, Spec } from "../../../protocol/oci.ts";
import { absolutePath, type Check } from "./check.ts";
import type { Problem } from "./problem.ts";

export function hasNamespace({ linux }: Spec, type: NamespaceType): boolean {
  return linux?.namespaces?.some((namespace) => namespace.type === type) ?? false;
}

function namespacePath({ linux }: Spec, type: NamespaceType): string {
  return linux?.namespaces?.find((namespace) => namespace.type === type)?.path ?? "";
}

export const namespaces: Check = function* ({ linux }) {
  const seen = new Set<NamespaceType>();
  for (const [index, { type, path }] of linux?.namespaces?.entries() ?? []) {
    const field = `linux.namespaces[${index}]`;
    if (seen.has(type)) yield { field: `${field}.type`, message: `names the ${type} namespace a second time` };
    seen.add(type);
    if (path !== undefined && path !== "") yield* absolutePath(`${field}.path`, path);
  }
};

/**
 * A list absent and an empty one mean the same. Engines give a joined namespace's mappings, too, which say what ids mean
 * in it.
 */
export const userMappings: Check = function* (config) {
  const uids = config.linux?.uidMappings ?? [];
  const gids = config.linux?.gidMappings ?? [];
  yield* mappings("linux.uidMappings", uids);
  yield* mappings("linux.gidMappings", gids);
  if (!hasNamespace(config, "user")) {
    for (const [name, list] of Object.entries({ uidMappings: uids, gidMappings: gids })) {
      if (list.length > 0) yield { field: `linux.${name}`, message: "needs a user namespace in linux.namespaces" };
    }
    return;
  }
  // Without any, normalise() gives it a mapping.
  if (namespacePath(config, "user") !== "" || uids.length + gids.length === 0) return;
  for (const [name, list] of Object.entries({ uidMappings: uids, gidMappings: gids })) {
    if (list.length === 0) {
      yield { field: `linux.${name}`, message: "needs at least one mapping for the new user namespace" };
    }
  }
};

/** user_namespaces(7): at most 340 lines, which must not overlap on either side. */
export function* mappings(field: string, list: readonly IdMapping[]): Iterable<Problem> {
  if (list.length > 340) yield { field, message: `must have at most 340 entries, not ${list.length}` };
  for (const [index, { containerID, hostID, size }] of list.entries()) {
    const entry = `${field}[${index}]`;
    if (size === 0) yield { field: `${entry}.size`, message: "must be at least 1" };
    // 2^32-1 is "no id" (user_namespaces(7)); a range may end before it.
    if (Math.max(containerID, hostID) + size > 2 ** 32 - 1) {
      yield { field: entry, message: "reaches beyond the last id, 4294967294" };
    }
    const earlier = list.slice(0, index).findIndex((other) => overlaps(other, { containerID, hostID, size }));
    if (earlier >= 0) yield { field: entry, message: `overlaps ${field}[${earlier}]` };
  }
}

function overlaps(a: IdMapping, b: IdMapping): boolean {
  return (["containerID", "hostID"] as const).some((side) => a[side] < b[side] + b.size && b[side] < a[side] + a.size);
}

/** time_namespaces(7). */
export const timeOffsets: Check = function* (config) {
  const offsets = config.linux?.timeOffsets;
  if (offsets === undefined || Object.keys(offsets).length === 0) return;
  const field = "linux.timeOffsets";
  if (!hasNamespace(config, "time")) yield { field, message: "needs a time namespace in linux.namespaces" };
  if (namespacePath(config, "time") !== "") {
    yield { field, message: "must be absent when the time namespace is joined by its path" };
  }
  for (const clock of ["monotonic", "boottime"] as const) {
    const nanosecs = offsets[clock]?.nanosecs ?? 0;
    if (nanosecs > 999_999_999) {
      yield { field: `${field}.${clock}.nanosecs`, message: `must be at most 999999999, not ${nanosecs}` };
    }
  }
};
