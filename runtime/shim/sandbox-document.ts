import { basename, join } from "node:path";
import { CaissonError } from "../../protocol/errors.ts";
import {
  type IDMapping,
  type LinuxPodSandboxConfig,
  NamespaceMode,
  type PodSandboxConfig,
} from "../../protocol/generated/containerd/pod-config.ts";
import {
  type IdMapping,
  type Linux,
  type Namespace,
  type NamespaceType,
  OCI_VERSION,
  type Process,
  type Root,
  type Spec,
} from "../../protocol/oci.ts";

/** What of a sandbox there is to know when it is made. */
export interface SandboxWish {
  id: string;
  /** The network namespace's path; empty for the host's. */
  netns: string;
  /** From CRI; undefined for another client's sandbox. */
  config: PodSandboxConfig | undefined;
  /** What such a client may have given in its place: an OCI configuration, unchecked. */
  spec: Spec | undefined;
  annotations: Readonly<Record<string, string>>;
}

/** The program of the container that stands for the sandbox; it is never run. */
export const PAUSE = "/pause";
const PROCESS: Process = { args: [PAUSE], cwd: "/", env: [], user: { uid: 0, gid: 0 }, noNewPrivileges: true };
const ROOT: Root = { path: "rootfs" };

/**
 * The configuration of the container that stands for a sandbox: it holds the namespaces that the others join, and never
 * starts. The annotations are those that containerd gives a pause container, so that the VM is as large as with one.
 * @throws CaissonError CAISSON_E_CONFIG_UNSUPPORTED for a user namespace of which nobody says what it maps.
 */
export function sandboxDocument({ id, netns, config, spec, annotations }: SandboxWish): Spec {
  if (config === undefined && spec !== undefined) return withoutProgram(spec, netns, annotations);
  const linux = config?.linux;
  const resources = linux?.resources;
  return {
    ociVersion: OCI_VERSION,
    process: PROCESS,
    root: ROOT,
    ...(config !== undefined && config.hostname !== "" && { hostname: config.hostname }),
    annotations: {
      ...config?.annotations,
      ...annotations,
      "io.kubernetes.cri.container-type": "sandbox",
      "io.kubernetes.cri.sandbox-id": id,
      ...(resources && {
        "io.kubernetes.cri.sandbox-cpu-period": String(resources.cpuPeriod),
        "io.kubernetes.cri.sandbox-cpu-quota": String(resources.cpuQuota),
        "io.kubernetes.cri.sandbox-cpu-shares": String(resources.cpuShares),
        "io.kubernetes.cri.sandbox-memory": String(resources.memoryLimitInBytes),
      }),
    },
    linux: {
      namespaces: namespaces(netns, linux),
      ...userMappings(linux),
      sysctl: { ...linux?.sysctls },
      ...(linux !== undefined && linux.cgroupParent !== "" && { cgroupsPath: cgroupsPath(linux.cgroupParent, id) }),
    },
  };
}

/** The sandbox's part of a client's own configuration, with nothing of a program. */
function withoutProgram(spec: Spec, netns: string, annotations: Readonly<Record<string, string>>): Spec {
  const { seccomp: _filter, maskedPaths: _masked, readonlyPaths: _readonly, ...linux } = spec.linux ?? {};
  const given = Array.isArray(linux.namespaces) ? linux.namespaces : [];
  const namespaces = given.map((each) => (each.type === "network" && netns !== "" ? { ...each, path: netns } : each));
  return {
    ...spec,
    process: PROCESS,
    root: ROOT,
    mounts: [],
    annotations: { ...spec.annotations, ...annotations },
    linux: { ...linux, namespaces },
  };
}

/** A namespace of the node is left out, which is what OCI has for it; what cannot be carried out is refused by that. */
function namespaces(netns: string, linux: LinuxPodSandboxConfig | undefined): Namespace[] {
  const { network, pid, ipc, usernsOptions } = linux?.securityContext?.namespaceOptions ?? {};
  const own: Namespace[] = [{ type: "mount" }, { type: "cgroup" }];
  const add = (type: NamespaceType, mode: NamespaceMode | undefined) => {
    if (mode !== NamespaceMode.NODE) own.push({ type });
  };
  if (network !== NamespaceMode.NODE) {
    own.push({ type: "uts" }, { type: "network", ...(netns !== "" && { path: netns }) });
  }
  add("pid", pid);
  add("ipc", ipc);
  if (usernsOptions?.mode === NamespaceMode.POD) own.push({ type: "user" });
  return own;
}

/** The ids of a pod with a user namespace; a kubelet that gives it one says which (hostUsers: false). */
function userMappings(linux: LinuxPodSandboxConfig | undefined): Pick<Linux, "uidMappings" | "gidMappings"> {
  const { mode, uids = [], gids = [] } = linux?.securityContext?.namespaceOptions?.usernsOptions ?? {};
  if (mode !== NamespaceMode.POD) return {};
  if (uids.length === 0 || gids.length === 0) {
    throw new CaissonError(
      "CAISSON_E_CONFIG_UNSUPPORTED",
      "the pod has a user namespace, and its configuration does not say which ids of the host it maps",
      { field: "linux.security_context.namespace_options.userns_options" },
    );
  }
  return { uidMappings: uids.map(ociMapping), gidMappings: gids.map(ociMapping) };
}

function ociMapping({ containerId, hostId, length }: IDMapping): IdMapping {
  return { containerID: containerId, hostID: hostId, size: length };
}

/** The path as containerd names it: systemd's form below a slice (runc, docs/systemd.md). */
function cgroupsPath(parent: string, id: string): string {
  return parent.endsWith(".slice") ? `${basename(parent)}:cri-containerd:${id}` : join("/", parent, id);
}

/** resolv.conf(5) for a pod; undefined when it is to be the host's. */
export function resolverText(config: PodSandboxConfig): string | undefined {
  const { servers = [], searches = [], options = [] } = config.dnsConfig ?? {};
  const lines = [
    ...(searches.length > 0 ? [`search ${searches.join(" ")}`] : []),
    ...servers.map((server) => `nameserver ${server}`),
    ...(options.length > 0 ? [`options ${options.join(" ")}`] : []),
  ];
  return lines.length === 0 ? undefined : `${lines.join("\n")}\n`;
}
