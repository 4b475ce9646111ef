/** config-linux.md. */
import type { Int64 } from "./integer.ts";
import type { Resources } from "./resources.ts";
import type { Seccomp } from "./seccomp.ts";

export interface Linux {
  uidMappings?: IdMapping[] | undefined;
  gidMappings?: IdMapping[] | undefined;
  sysctl?: Record<string, string> | undefined;
  resources?: Resources | undefined;
  cgroupsPath?: string | undefined;
  namespaces?: Namespace[] | undefined;
  devices?: Device[] | undefined;
  /** Since 1.3: keyed by the device's name on the host. */
  netDevices?: Record<string, NetDevice> | undefined;
  seccomp?: Seccomp | undefined;
  rootfsPropagation?: RootfsPropagation | undefined;
  maskedPaths?: string[] | undefined;
  readonlyPaths?: string[] | undefined;
  mountLabel?: string | undefined;
  intelRdt?: IntelRdt | undefined;
  memoryPolicy?: MemoryPolicy | undefined;
  personality?: Personality | undefined;
  timeOffsets?: TimeOffsets | undefined;
}

export type RootfsPropagation =
  | "private"
  | "shared"
  | "slave"
  | "unbindable"
  | "rprivate"
  | "rshared"
  | "rslave"
  | "runbindable";

export type NamespaceType = "pid" | "network" | "mount" | "ipc" | "uts" | "user" | "cgroup" | "time";

export interface Namespace {
  type: NamespaceType;
  path?: string | undefined;
}

export interface TimeOffsets {
  monotonic?: TimeOffset | undefined;
  boottime?: TimeOffset | undefined;
}

export interface TimeOffset {
  secs?: Int64 | undefined;
  nanosecs?: number | undefined;
}

/** `c` and `u` are character devices, `b` a block device, `p` a FIFO. */
export type DeviceType = "c" | "u" | "b" | "p";

export interface Device {
  path: string;
  type: DeviceType;
  /** Required unless the type is `p`. */
  major?: number | undefined;
  minor?: number | undefined;
  /** Permission bits; podman leaves the file type's bits in, which mean nothing here. */
  fileMode?: number | undefined;
  uid?: number | undefined;
  gid?: number | undefined;
}

export interface NetDevice {
  name?: string | undefined;
}

export interface IdMapping {
  containerID: number;
  hostID: number;
  size: number;
}

export interface IntelRdt {
  closID?: string | undefined;
  schemata?: string[] | undefined;
  l3CacheSchema?: string | undefined;
  memBwSchema?: string | undefined;
  enableMonitoring?: boolean | undefined;
}

/** set_mempolicy(2). */
export interface MemoryPolicy {
  mode: string;
  nodes?: string | undefined;
  flags?: string[] | undefined;
}

export interface Personality {
  domain: "LINUX" | "LINUX32";
  flags?: string[] | undefined;
}
