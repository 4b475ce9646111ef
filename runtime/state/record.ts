/** What the runtime remembers of a container between verbs: `<root>/<id>/state.json`. */
import { CaissonError } from "../../protocol/errors.ts";
import { type ContainerStatus, type Hook, OCI_VERSION, type State } from "../../protocol/oci.ts";
import type { ProcessIdentity } from "./process-identity.ts";

/** The version of the record's form. A runtime refuses records of a form that it does not know. */
const FORMAT = 1;

/** Interfaces of a network namespace that were connected with a VM. */
export interface NetworkChanges {
  /** Path of the namespace, and what tells it from another one that is there later. */
  namespace: string;
  inode?: string | undefined;
  interfaces: ConnectedInterface[];
  /** Whether its 127.0.0.1 was given to the VM. */
  loopback?: boolean | undefined;
}

export interface ConnectedInterface {
  index: number;
  name: string;
  /** Whether the hook for incoming packets (tc qdisc ingress) is the sandbox's too; else somebody had put one there. */
  ownsIngress: boolean;
}

/** A folder of a sandbox's cgroup on the host. */
export interface CgroupFolder {
  /** Absolute. */
  path: string;
  /** What tells it from one that is made there later; absent as long as it is only about to be made, and is not ours. */
  inode?: string | undefined;
  /** Whether it was not there before. */
  made: boolean;
}

export interface StateRecord {
  id: string;
  status: ContainerStatus;
  /** Absolute path of the bundle, and of the root file system. */
  bundle: string;
  rootfs: string;
  annotations?: Record<string, string> | undefined;
  /** RFC 3339. */
  created: string;
  /** Name, or else number, of the user who created it. */
  owner: string;
  /** The sandbox daemon. Its pid is the container's OCI pid. Once it is gone the container has stopped. */
  daemon: ProcessIdentity;
  /** The sandbox's cgroup on the host, below the root of every hierarchy. */
  cgroup: string;
  /** The folders of it that are the sandbox's, or are about to be; none are before that is on record. */
  cgroupFolders?: readonly CgroupFolder[] | undefined;
  /** What the sandbox changed in the container's network namespace. */
  network?: NetworkChanges | undefined;
  /** What `delete` runs at last: the configuration may have changed since (runtime.md, Lifecycle). */
  poststop?: Hook[] | undefined;
  /** The container's init as the guest's root pid namespace sees it. */
  guestPid?: number | undefined;
  /** How the container's init ended, 0 to 255. */
  exitCode?: number | undefined;
  /** Why it ended, where the exit code alone does not tell: its VM died, or had no memory left. */
  exitReason?: string | undefined;
}

/** runtime.md, State: exactly its properties, in its order. A stopped container has pid 0, as runc shows it. */
export function ociState({ id, status, daemon, bundle, annotations }: StateRecord): State {
  return {
    ociVersion: OCI_VERSION,
    id,
    status,
    pid: status === "stopped" ? 0 : daemon.pid,
    bundle,
    ...(annotations !== undefined && { annotations }),
  };
}

/** What `state` and `list` print: the state with what runc adds to it, in runc's order. */
export function runcState(record: StateRecord, owner: string): object {
  const { ociVersion, id, pid, status, bundle, annotations } = ociState(record);
  const { rootfs, created } = record;
  return { ociVersion, id, pid, status, bundle, rootfs, created, ...(annotations && { annotations }), owner };
}

export function formatRecord(record: StateRecord): string {
  return `${JSON.stringify({ format: FORMAT, ...record })}\n`;
}

/** Throws CAISSON_E_STORAGE, naming `path`, when the text is no record of a form we know. */
export function parseRecord(text: string, path: string): StateRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged(path, "it is not JSON", cause);
  }
  if (typeof value !== "object" || value === null) throw damaged(path, "it holds no object");
  const { format, ...record } = value as { format?: unknown } & Record<string, unknown>;
  if (format !== FORMAT)
    throw damaged(path, `its format is ${JSON.stringify(format)}, and this version reads ${FORMAT}`);
  for (const [name, isRight] of Object.entries(FIELDS)) {
    if (!isRight(record[name])) throw damaged(path, `its field "${name}" is missing or wrong`);
  }
  return record as unknown as StateRecord;
}

const STATUSES: ReadonlySet<unknown> = new Set<ContainerStatus>([
  "creating",
  "created",
  "running",
  "paused",
  "stopped",
]);

const isString = (value: unknown) => typeof value === "string";
const isOptionalInteger = (value: unknown) => value === undefined || Number.isSafeInteger(value);

const FIELDS: Record<keyof StateRecord, (value: unknown) => boolean> = {
  id: isString,
  status: (value) => STATUSES.has(value),
  bundle: isString,
  rootfs: isString,
  annotations: (value) => value === undefined || isStringMap(value),
  created: (value) => isString(value) && !Number.isNaN(Date.parse(value as string)),
  owner: isString,
  daemon: isIdentity,
  cgroup: isString,
  cgroupFolders: (value) => value === undefined || (Array.isArray(value) && value.every(isCgroupFolder)),
  network: (value) => value === undefined || isNetwork(value),
  poststop: (value) => value === undefined || Array.isArray(value),
  guestPid: isOptionalInteger,
  exitCode: isOptionalInteger,
  exitReason: (value) => value === undefined || isString(value),
};

function isIdentity(value: unknown): boolean {
  const { pid, startTime, bootId } = (value ?? {}) as Partial<Record<keyof ProcessIdentity, unknown>>;
  return Number.isSafeInteger(pid) && (pid as number) > 0 && Number.isSafeInteger(startTime) && isString(bootId);
}

function isCgroupFolder(value: unknown): boolean {
  const { path, inode, made } = (value ?? {}) as Partial<Record<keyof CgroupFolder, unknown>>;
  return isString(path) && (inode === undefined || isString(inode)) && typeof made === "boolean";
}

function isNetwork(value: unknown): boolean {
  const { namespace, inode, interfaces, loopback } = (value ?? {}) as Partial<Record<keyof NetworkChanges, unknown>>;
  const isRight =
    isString(namespace) &&
    (inode === undefined || isString(inode)) &&
    (loopback === undefined || typeof loopback === "boolean");
  return isRight && Array.isArray(interfaces) && interfaces.every(isConnectedInterface);
}

function isConnectedInterface(value: unknown): boolean {
  const { index, name, ownsIngress } = (value ?? {}) as Partial<Record<keyof ConnectedInterface, unknown>>;
  return Number.isSafeInteger(index) && isString(name) && typeof ownsIngress === "boolean";
}

function isStringMap(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.values(value).every(isString);
}

function damaged(path: string, why: string, cause?: unknown): CaissonError {
  return new CaissonError("CAISSON_E_STORAGE", `cannot use the state record ${path}: ${why}`, {
    cause,
    remedy: "Remove the container with caisson delete --force.",
  });
}
