/** config-linux.md: Control groups; the ranges are those of the kernel's cgroup-v2.rst where the specification has none. */
import type { BlockIoResources, CpuResources, Int64, MemoryResources, Resources } from "../../../protocol/oci.ts";
import type { Check } from "./check.ts";
import { parseCpuList } from "./cpu-list.ts";
import { deviceNumber, deviceRules } from "./devices.ts";
import { fieldOf } from "./field.ts";
import type { Problem } from "./problem.ts";

export const resources: Check = function* ({ linux }) {
  yield* resourceProblems(linux?.resources ?? {}, "linux.resources");
};

/** Also for `update`; `field` names the object in the problems. */
export function* resourceProblems(resources: Resources, field: string): Iterable<Problem> {
  yield* deviceRules(resources.devices ?? [], `${field}.devices`);
  yield* memory(resources.memory ?? {}, `${field}.memory`);
  yield* cpu(resources.cpu ?? {}, `${field}.cpu`);
  yield* blockIo(resources.blockIO ?? {}, `${field}.blockIO`);
  yield* hugepages(resources, `${field}.hugepageLimits`);
  yield* unified(resources, `${field}.unified`);
}

function* memory({ limit = 0, reservation = 0, swap = 0 }: MemoryResources, field: string): Iterable<Problem> {
  for (const [name, value] of Object.entries({ limit, reservation, swap })) {
    if (value < -1)
      yield { field: `${field}.${name}`, message: `must be a number of bytes, or -1 for no limit, not ${value}` };
  }
  // Swap counts memory and swap together; 0 means unset for both, as for runc.
  if (swap > 0 && limit === 0)
    yield { field: `${field}.swap`, message: `needs ${field}.limit: it limits both together` };
  if (swap > 0 && limit > 0 && swap < limit) {
    yield {
      field: `${field}.swap`,
      message: `must be at least ${field}.limit (${limit}), not ${swap}: it limits both together`,
    };
  }
}

function* cpu(
  { shares = 0, quota = 0, burst = 0, period = 0, cpus, mems, idle = 0 }: CpuResources,
  field: string,
): Iterable<Problem> {
  yield* range(`${field}.shares`, shares, 2, 262_144);
  yield* range(`${field}.period`, period, 1000, 1_000_000);
  if (quota > 0 && quota < 1000)
    yield { field: `${field}.quota`, message: `must be at least 1000 microseconds, not ${quota}` };
  if (burst > 0 && quota > 0 && burst > quota) {
    yield { field: `${field}.burst`, message: `must be at most the quota (${quota}), not ${burst}` };
  }
  if (idle < 0 || idle > 1) yield { field: `${field}.idle`, message: `must be 0 or 1, not ${idle}` };
  for (const [name, list] of Object.entries({ cpus, mems })) {
    if (list !== undefined && parseCpuList(list) === undefined) {
      yield { field: `${field}.${name}`, message: `must be a list like "0-3,7", not ${JSON.stringify(list)}` };
    }
  }
}

const THROTTLES = [
  "throttleReadBpsDevice",
  "throttleWriteBpsDevice",
  "throttleReadIOPSDevice",
  "throttleWriteIOPSDevice",
] as const;

function* blockIo(blockIO: BlockIoResources, field: string): Iterable<Problem> {
  yield* range(`${field}.weight`, blockIO.weight ?? 0, 10, 1000);
  for (const name of ["weightDevice", ...THROTTLES] as const) {
    for (const [index, device] of blockIO[name]?.entries() ?? []) {
      const entry = `${field}.${name}[${index}]`;
      yield* deviceNumber(`${entry}.major`, device.major, "major", 0);
      yield* deviceNumber(`${entry}.minor`, device.minor, "minor", 0);
      if ("weight" in device) yield* range(`${entry}.weight`, device.weight ?? 0, 10, 1000);
      if (name === "weightDevice" && !("weight" in device) && !("leafWeight" in device)) {
        yield { field: entry, message: "must have a weight or a leafWeight" };
      }
    }
  }
}

function* hugepages({ hugepageLimits = [] }: Resources, field: string): Iterable<Problem> {
  for (const [index, { pageSize }] of hugepageLimits.entries()) {
    if (!/^[1-9][0-9]*[KMG]B$/.test(pageSize)) {
      yield {
        field: `${field}[${index}].pageSize`,
        message: `must be a size like "2MB", not ${JSON.stringify(pageSize)}`,
      };
    }
    if (hugepageLimits.findIndex((other) => other.pageSize === pageSize) < index) {
      yield { field: `${field}[${index}].pageSize`, message: `names ${pageSize} a second time` };
    }
  }
}

/** Keys are files of the container's cgroup, so they must not lead out of it, nor move or kill its processes. */
function* unified({ unified = {} }: Resources, field: string): Iterable<Problem> {
  for (const key of Object.keys(unified)) {
    if (!/^[a-z0-9_]+(\.[A-Za-z0-9_]+)+$/.test(key) || key.startsWith("cgroup.")) {
      yield { field: fieldOf(field, key), message: 'must be the name of a controller\'s file, like "memory.high"' };
    }
  }
}

/** 0 is the engines' word for "unset". */
function* range(field: string, value: Int64, lowest: number, highest: number): Iterable<Problem> {
  if (value < 0 || (value > 0 && (value < lowest || value > highest))) {
    yield { field, message: `must be from ${lowest} to ${highest}, or 0 for the default, not ${value}` };
  }
}
