/** config-linux.md: Control groups. */
import type * as Oci from "../../../protocol/oci.ts";
import { array, boolean, integer, map, object, oneOf, type Schema, section, string, stringMap } from "./parts.ts";

const int64 = integer("int64");
const uint64 = integer("uint64");
const uint16 = integer("uint16");
const uint32 = integer("uint32");

const deviceRule = object<Oci.DeviceRule>(
  {
    allow: boolean,
    type: oneOf("a", "b", "c"),
    major: int64,
    minor: int64,
    access: string,
  },
  "allow",
);

export const memory: Schema = object<Oci.MemoryResources>({
  limit: int64,
  reservation: int64,
  swap: int64,
  kernel: int64,
  kernelTCP: int64,
  swappiness: uint64,
  disableOOMKiller: boolean,
  useHierarchy: boolean,
  checkBeforeUpdate: boolean,
});

export const cpu: Schema = object<Oci.CpuResources>({
  shares: uint64,
  quota: int64,
  burst: uint64,
  period: uint64,
  realtimeRuntime: int64,
  realtimePeriod: uint64,
  cpus: string,
  mems: string,
  idle: int64,
});

export const throttles: Schema = array(
  object<Oci.ThrottleDevice>({ major: int64, minor: int64, rate: uint64 }, "major", "minor"),
);

export const blockIO: Schema = object<Oci.BlockIoResources>({
  weight: uint16,
  leafWeight: uint16,
  weightDevice: array(
    object<Oci.WeightDevice>({ major: int64, minor: int64, weight: uint16, leafWeight: uint16 }, "major", "minor"),
  ),
  throttleReadBpsDevice: section("throttles"),
  throttleWriteBpsDevice: section("throttles"),
  throttleReadIOPSDevice: section("throttles"),
  throttleWriteIOPSDevice: section("throttles"),
});

const hugepageLimit = object<Oci.HugepageLimit>({ pageSize: string, limit: uint64 }, "pageSize", "limit");

export const resources: Schema = object<Oci.Resources>({
  devices: array(deviceRule),
  memory: section("memory"),
  cpu: section("cpu"),
  pids: object<Oci.PidsResources>({ limit: int64 }),
  blockIO: section("blockIO"),
  hugepageLimits: array(hugepageLimit),
  network: object<Oci.NetworkResources>({
    classID: uint32,
    priorities: array(object<Oci.NetworkPriority>({ name: string, priority: uint32 }, "name", "priority")),
  }),
  rdma: map(object<Oci.RdmaLimit>({ hcaHandles: uint32, hcaObjects: uint32 })),
  unified: stringMap,
});
