/** crun's annotation for `podman run --group-add keep-groups`: the container keeps the groups of whoever creates it. */
import { readFileSync } from "node:fs";
import type { IdMapping, Spec } from "../../protocol/oci.ts";

const ANNOTATION = "run.oci.keep_original_groups";

/**
 * The configuration, with the groups among `additionalGids` if it says so. In a user namespace those that it does not map
 * are left out, as they could not be had.
 * @param groups of the host, whose ids the container's files have as well.
 */
export function keepGroups(config: Spec, groups: readonly number[]): Spec {
  const { annotations, process, linux } = config;
  if (annotations?.[ANNOTATION] !== "1" || process === undefined) return config;
  const isMapped = linux?.namespaces?.some(({ type, path }) => type === "user" && path === undefined) ?? false;
  const kept = isMapped ? groups.flatMap((group) => inContainer(group, linux?.gidMappings ?? [])) : groups;
  const { user, ...rest } = process;
  const additionalGids = [...new Set([...(user?.additionalGids ?? []), ...kept])];
  return { ...config, process: { ...rest, user: { ...user, additionalGids } } };
}

/** This process's supplementary groups: those alone, where process.getgroups() adds the effective one. */
export function readOwnGroups(): number[] {
  const [, groups = ""] = /^Groups:\s*(.*)$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return groups
    .split(" ")
    .filter((text) => text !== "")
    .map(Number);
}

function inContainer(group: number, mappings: readonly IdMapping[]): number[] {
  const found = mappings.find(({ hostID, size }) => group >= hostID && group - hostID < size);
  return found === undefined ? [] : [found.containerID + (group - found.hostID)];
}
