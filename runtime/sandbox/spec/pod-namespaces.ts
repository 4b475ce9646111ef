import { guestNamespacePath } from "../../../protocol/guest-contract.ts";
import type { Namespace, NamespaceType } from "../../../protocol/oci.ts";
import { isObject } from "./host-labels.ts";

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
    return { ...namespace, path: guestNamespacePath(container, namespace.type) };
  });
}

/** What CRI-O writes into the annotations of every container that it makes. */
const CRIO_CONTAINER = "io.kubernetes.cri-o.ContainerType";
/** The types of the namespaces that CRI-O binds; the network's is the VM's own. */
const BOUND: ReadonlySet<NamespaceType> = new Set(["ipc", "uts", "user"]);

/** Whether CRI-O has made this configuration. */
export function isFromCrio({ annotations }: Record<string, unknown>): boolean {
  return isObject(annotations) && annotations[CRIO_CONTAINER] !== undefined;
}

/**
 * The IPC, UTS and user namespaces that CRI-O makes for a pod on the host, and binds to files for the pod's containers to
 * name. In the guest the first container that names one has a new one in its place, and the others join that.
 */
export class BoundNamespaces {
  readonly #holders = new Map<string, string>();

  /** The namespaces of the container `id`, of a configuration by CRI-O, as the guest has them. */
  inGuest(namespaces: readonly Namespace[], id: string): Namespace[] {
    return namespaces.map((namespace) => {
      const { type, path = "" } = namespace;
      if (!BOUND.has(type) || path === "" || path.startsWith("/proc/")) return namespace;
      const holder = this.#holders.get(path);
      if (holder !== undefined) return { ...namespace, path: guestNamespacePath(holder, type) };
      this.#holders.set(path, id);
      return { type };
    });
  }
}
