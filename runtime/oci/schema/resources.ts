/** config-linux.md: Control groups. */
import type {
  BlockIoResources,
  CpuResources,
  DeviceRule,
  HugepageLimit,
  MemoryResources,
  NetworkPriority,
  NetworkResources,
  PidsResources,
  RdmaLimit,
  Resources,
  ThrottleDevice,
  WeightDevice,
} from "../../../protocol/oci.ts";
import { array, boolean, integer, map, object, oneOf, type Schema, section, string, stringMap } from "./parts.ts";

const int64 = integer("int64");
const uint64 = integer("uint64");
const uint16 = integer("uint16");
const uint32 = integer("uint32");

const deviceRule = object<DeviceRule>(
  {
    allow: boolean,
    type: oneOf("a", "b", "c"),
    major: int64,
    minor: int64,
    access: string,
  },
  "allow",
);

export const memory: Schema = object<MemoryResources>({
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

export const cpu: Schema = object<CpuResources>({
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
  object<ThrottleDevice>({ major: int64, minor: int64, rate: uint64 }, "major", "minor"),
);

export const blockIO: Schema = object<BlockIoResources>({
  weight: uint16,
  leafWeight: uint16,
  weightDevice: array(
    object<WeightDevice>({ major: int64, minor: int64, weight: uint16, leafWeight: uint16 }, "major", "minor"),
  ),
  throttleReadBpsDevice: section("throttles"),
  throttleWriteBpsDevice: section("throttles"),
  throttleReadIOPSDevice: section("throttles"),
  throttleWriteIOPSDevice: section("throttles"),
});

const hugepageLimit = object<HugepageLimit>({ pageSize: string, limit: uint64 }, "pageSize", "limit");

export const resources: Schema = object<Resources>({
  devices: array(deviceRule),
  memory: section("memory"),
  cpu: section("cpu"),
  pids: object<PidsResources>({ limit: int64 }),
  blockIO: section("blockIO"),
  hugepageLimits: array(hugepageLimit),
  network: object<NetworkResources>({
    classID: uint32,
    priorities: array(object<NetworkPriority>({ name: string, priority: uint32 }, "name", "priority")),
  }),
  rdma: map(object<RdmaLimit>({ hcaHandles: uint32, hcaObjects: uint32 })),
  unified: stringMap,
});
