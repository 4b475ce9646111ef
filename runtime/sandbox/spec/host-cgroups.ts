/**
 * What engines bind of the cgroup v1 hierarchies of their host for a container that runs systemd (`podman run --systemd`).
 * The guest has cgroup v2, where systemd needs none of it.
 */
import { dirname } from "node:path";
import { cgroupMounts } from "../../cgroup/cgroup.ts";
import { log } from "../../text/log.ts";
import { isObject } from "./host-labels.ts";

const CGROUPS = "/sys/fs/cgroup";

/**
 * Takes such mounts out of a configuration, which may not be valid. Where the container could write to one, it may change its
 * own part of the guest's hierarchy in its place: /sys/fs/cgroup is writable and begins at the container's cgroup.
 * @param hosts the directories of the host's hierarchies of v1.
 */
export function dropHostCgroups(document: Record<string, unknown>, hosts?: readonly string[]): void {
  const { mounts, linux } = document;
  if (!Array.isArray(mounts) || !isObject(linux)) return;
  const objects = mounts.filter(isObject);
  const below = objects.filter(({ destination }) => dirname(String(destination)) === CGROUPS);
  if (below.length === 0) return;
  const directories: readonly unknown[] = hosts ?? hostsV1();
  const dropped = below.filter(({ source }) => directories.includes(source));
  if (dropped.length === 0) return;
  for (const { destination } of dropped) {
    log.info(`the mount "${destination}" is left out: it is the host's cgroup v1, and the guest has cgroup v2`);
  }
  document["mounts"] = mounts.filter((mount) => !dropped.includes(mount));
  if (dropped.every(({ options }) => Array.isArray(options) && options.includes("ro"))) return;
  for (const mount of objects) {
    const { destination, type, options } = mount;
    if (destination !== CGROUPS || type !== "cgroup" || !Array.isArray(options)) continue;
    mount["options"] = options.filter((option) => option !== "ro");
  }
  const { namespaces = [] } = linux;
  if (!Array.isArray(namespaces) || namespaces.some((each) => isObject(each) && each["type"] === "cgroup")) return;
  linux["namespaces"] = [...namespaces, { type: "cgroup" }];
}

function hostsV1(): string[] {
  return cgroupMounts().flatMap(({ kind, directory }) => (kind === "v2" ? [] : [directory]));
}
