import { CaissonError } from "../../protocol/errors.ts";
import { parseGuestNamespacePath } from "../../protocol/guest-contract.ts";
import type { Namespace, NamespaceType, Spec } from "../../protocol/oci.ts";

/** The names of /proc/PID/ns (namespaces(7)). */
const FILES: Record<NamespaceType, string> = {
  pid: "pid",
  network: "net",
  mount: "mnt",
  ipc: "ipc",
  uts: "uts",
  user: "user",
  cgroup: "cgroup",
  time: "time",
};

const BY_PID = /^\/proc\/(\d+)\/ns\/([a-z_]+)$/;

/** Which containers live, for a namespace to be joined. */
export interface LivePids {
  /** The init's pid of a container whose init lives. */
  ofContainer(id: string): number | undefined;
  /** Whether the pid is some living container's init. */
  isInit(pid: number): boolean;
}

/**
 * The namespaces with every `path` as the guest's /proc has it. Only those of this sandbox's containers can be joined:
 * any other path would let a container into the agent's own.
 * @throws CAISSON_E_CONFIG_INVALID naming `linux.namespaces[i].path`, CAISSON_E_STATE when that container has ended.
 */
export function resolveNamespaces(namespaces: readonly Namespace[], live: LivePids): Namespace[] {
  return namespaces.map((namespace, index) => {
    const { type, path } = namespace;
    if (path === undefined || path === "") return { type };
    const field = `linux.namespaces[${index}].path`;
    const wrong = (why: string): CaissonError =>
      new CaissonError("CAISSON_E_CONFIG_INVALID", `${field} ${JSON.stringify(path)} ${why}`, { field });
    const [, pidText, pidFile] = BY_PID.exec(path) ?? [];
    const inGuest = parseGuestNamespacePath(path);
    const given = pidFile ?? inGuest?.file;
    if (given === undefined) throw wrong("names no namespace of a container in this sandbox");
    if (given !== type && given !== FILES[type]) throw wrong(`is not a namespace of the type ${type}`);
    const pid = pidText === undefined ? live.ofContainer(inGuest?.container ?? "") : Number(pidText);
    if (pid === undefined || !live.isInit(pid)) {
      throw new CaissonError("CAISSON_E_STATE", `${field} ${JSON.stringify(path)}: no container with it is alive`, {
        field,
      });
    }
    return { type, path: `/proc/${pid}/ns/${FILES[type]}` };
  });
}

/** The configuration with its namespaces as resolveNamespaces() has them. Throws as it does. */
export function withResolvedNamespaces(config: Spec, live: LivePids): Spec {
  const { linux } = config;
  if (linux?.namespaces === undefined) return config;
  return { ...config, linux: { ...linux, namespaces: resolveNamespaces(linux.namespaces, live) } };
}
