import type { Namespace, NamespaceType } from "../../protocol/oci.ts";

/** Where the guest's agent finds the namespaces of the sandbox's containers (agent/namespaces.ts). */
const GUEST_CONTAINERS = "/run/caisson/containers";

/** The names of /proc/PID/ns (namespaces(7)). */
const TYPES: Readonly<Record<string, NamespaceType>> = {
  pid: "pid",
  net: "network",
  mnt: "mount",
  ipc: "ipc",
  uts: "uts",
  user: "user",
  cgroup: "cgroup",
  time: "time",
};

/**
 * The namespaces with each path of a container of the same pod, `/proc/PID/ns/TYPE` on the host, as the guest has it. The
 * pids are those that the containers have on the host; `containerOf` gives the container of one.
 */
export function podNamespaces(
  namespaces: readonly Namespace[],
  containerOf: (pid: number) => string | undefined,
): Namespace[] {
  return namespaces.map((namespace) => {
    const [, pid = "", file = ""] = /^\/proc\/(\d+)\/ns\/([a-z]+)$/.exec(namespace.path ?? "") ?? [];
    const container = pid === "" ? undefined : containerOf(Number(pid));
    if (container === undefined || TYPES[file] !== namespace.type) return namespace;
    return { ...namespace, path: `${GUEST_CONTAINERS}/${container}/ns/${namespace.type}` };
  });
}

/** Whether the path is one that podNamespaces() gives. */
export function isInGuest(path: string): boolean {
  return path.startsWith(`${GUEST_CONTAINERS}/`);
}
