/** config-linux.md, all but its longest sections. */
import type {
  Device,
  IdMapping,
  IntelRdt,
  Linux,
  MemoryPolicy,
  Namespace,
  NetDevice,
  Personality,
  TimeOffset,
  TimeOffsets,
} from "../../../protocol/oci.ts";
import {
  array,
  boolean,
  integer,
  map,
  object,
  oneOf,
  type Schema,
  section,
  string,
  stringMap,
  strings,
} from "./parts.ts";

export const namespaces: Schema = array(
  object<Namespace>(
    { type: oneOf("pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"), path: string },
    "type",
  ),
);

export const idMappings: Schema = array(
  object<IdMapping>(
    { containerID: integer("uint32"), hostID: integer("uint32"), size: integer("uint32") },
    "containerID",
    "hostID",
    "size",
  ),
);

export const devices: Schema = array(
  object<Device>(
    {
      path: string,
      type: oneOf("c", "b", "u", "p"),
      major: integer("int64"),
      minor: integer("int64"),
      fileMode: integer("uint32"),
      uid: integer("uint32"),
      gid: integer("uint32"),
    },
    "path",
    "type",
  ),
);

const timeOffset = object<TimeOffset>({ secs: integer("int64"), nanosecs: integer("uint32") });

export const linux: Schema = object<Linux>({
  uidMappings: section("idMappings"),
  gidMappings: section("idMappings"),
  sysctl: stringMap,
  resources: section("resources"),
  cgroupsPath: string,
  namespaces: section("namespaces"),
  devices: section("devices"),
  netDevices: map(object<NetDevice>({ name: string })),
  seccomp: section("seccomp"),
  // config-linux.md names the first four; runc takes the recursive ones as well, and engines send them.
  rootfsPropagation: oneOf("private", "shared", "slave", "unbindable", "rprivate", "rshared", "rslave", "runbindable"),
  maskedPaths: strings,
  readonlyPaths: strings,
  mountLabel: string,
  intelRdt: object<IntelRdt>({
    closID: string,
    schemata: strings,
    l3CacheSchema: string,
    memBwSchema: string,
    enableMonitoring: boolean,
  }),
  memoryPolicy: object<MemoryPolicy>({ mode: string, nodes: string, flags: strings }),
  personality: object<Personality>({ domain: oneOf("LINUX", "LINUX32"), flags: strings }, "domain"),
  timeOffsets: object<TimeOffsets>({ monotonic: timeOffset, boottime: timeOffset }),
});
