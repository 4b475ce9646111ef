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
 * The configuration, which may not be valid, without such mounts. Where the container could write to one, it may change its
 * own part of the guest's hierarchy in its place: /sys/fs/cgroup is writable and begins at the container's cgroup.
 * @param hosts the directories of the host's hierarchies of v1.
 */
export function dropHostCgroups(document: unknown, hosts?: readonly string[]): unknown {
  if (!isObject(document)) return document;
  const { mounts, linux } = document;
  if (!Array.isArray(mounts) || !isObject(linux)) return document;
  const below = mounts.filter((mount) => isObject(mount) && dirname(String(mount["destination"])) === CGROUPS);
  if (below.length === 0) return document;
  const directories: readonly unknown[] = hosts ?? hostsV1();
  const dropped: Record<string, unknown>[] = below.filter(({ source }) => directories.includes(source));
  if (dropped.length === 0) return document;
  for (const { destination } of dropped) {
    log.info(`the mount "${destination}" is left out: it is the host's cgroup v1, and the guest has cgroup v2`);
  }
  const kept = mounts.filter((mount) => !dropped.includes(mount));
  if (dropped.every(isReadOnly)) return { ...document, mounts: kept };
  return { ...document, mounts: kept.map(writable), linux: withOwnCgroup(linux) };
}

function isReadOnly({ options }: Record<string, unknown>): boolean {
  return Array.isArray(options) && options.includes("ro");
}

function writable(mount: unknown): unknown {
  if (!isObject(mount)) return mount;
  const { destination, type, options } = mount;
  if (destination !== CGROUPS || type !== "cgroup" || !Array.isArray(options)) return mount;
  return { ...mount, options: options.filter((option) => option !== "ro") };
}

function withOwnCgroup(linux: Record<string, unknown>): Record<string, unknown> {
  const { namespaces = [] } = linux;
  if (!Array.isArray(namespaces) || namespaces.some((each) => isObject(each) && each["type"] === "cgroup"))
    return linux;
  return { ...linux, namespaces: [...namespaces, { type: "cgroup" }] };
}

function hostsV1(): string[] {
  return cgroupMounts().flatMap(({ kind, directory }) => (kind === "v2" ? [] : [directory]));
}
