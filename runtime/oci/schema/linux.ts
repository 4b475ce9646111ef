/** config-linux.md, all but its longest sections. */
import type * as Oci from "../../../protocol/oci.ts";
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
  object<Oci.Namespace>(
    { type: oneOf("pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"), path: string },
    "type",
  ),
);

export const idMappings: Schema = array(
  object<Oci.IdMapping>(
    { containerID: integer("uint32"), hostID: integer("uint32"), size: integer("uint32") },
    "containerID",
    "hostID",
    "size",
  ),
);

export const devices: Schema = array(
  object<Oci.Device>(
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

const timeOffset = object<Oci.TimeOffset>({ secs: integer("int64"), nanosecs: integer("uint32") });

export const linux: Schema = object<Oci.Linux>({
  uidMappings: section("idMappings"),
  gidMappings: section("idMappings"),
  sysctl: stringMap,
  resources: section("resources"),
  cgroupsPath: string,
  namespaces: section("namespaces"),
  devices: section("devices"),
  netDevices: map(object<Oci.NetDevice>({ name: string })),
  seccomp: section("seccomp"),
  // config-linux.md names the first four; runc takes the recursive ones as well, and engines send them.
  rootfsPropagation: oneOf("private", "shared", "slave", "unbindable", "rprivate", "rshared", "rslave", "runbindable"),
  maskedPaths: strings,
  readonlyPaths: strings,
  mountLabel: string,
  intelRdt: object<Oci.IntelRdt>({
    closID: string,
    schemata: strings,
    l3CacheSchema: string,
    memBwSchema: string,
    enableMonitoring: boolean,
  }),
  memoryPolicy: object<Oci.MemoryPolicy>({ mode: string, nodes: string, flags: strings }),
  personality: object<Oci.Personality>({ domain: oneOf("LINUX", "LINUX32"), flags: strings }, "domain"),
  timeOffsets: object<Oci.TimeOffsets>({ monotonic: timeOffset, boottime: timeOffset }),
});
