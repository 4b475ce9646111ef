import type { Resources } from "../../protocol/oci.ts";
import { cpuSettings } from "./cpu.ts";
import { cpusetSettings } from "./cpuset.ts";
import { hugetlbSettings } from "./hugetlb.ts";
import { ioSettings } from "./io.ts";
import { memorySettings } from "./memory.ts";
import { pidsSettings } from "./pids.ts";
import { type ReadCgroupFile, refuse, type Setting } from "./setting.ts";
import { unifiedSettings } from "./unified.ts";

const RESOURCES = "devices memory cpu pids blockIO hugepageLimits network rdma unified";
const PARTS: Record<string, string> = {
  memory: "limit reservation swap kernel kernelTCP swappiness disableOOMKiller useHierarchy checkBeforeUpdate",
  cpu: "shares quota burst period realtimeRuntime realtimePeriod cpus mems idle",
  pids: "limit",
  blockIO:
    "weight leafWeight weightDevice throttleReadBpsDevice throttleWriteBpsDevice throttleReadIOPSDevice throttleWriteIOPSDevice",
  network: "classID priorities",
};

/**
 * Every write that `linux.resources` asks for except the device rules, in order; `unified` comes last, so it wins.
 * Throws CaissonError naming the field for values that are wrong or that cgroup v2 cannot honour.
 */
export function resourceSettings(resources: Resources, read: ReadCgroupFile): Setting[] {
  refuseUnknown(resources, RESOURCES, "linux.resources");
  for (const [name, known] of Object.entries(PARTS)) {
    refuseUnknown(resources[name as keyof Resources] ?? {}, known, `linux.resources.${name}`);
  }
  if (Object.keys(resources.rdma ?? {}).length > 0) {
    refuse("linux.resources.rdma", "the guest has no RDMA devices");
  }
  if (resources.network?.classID) {
    refuse("linux.resources.network.classID", "cgroup v2 has no network classes");
  }
  if ((resources.network?.priorities ?? []).length > 0) {
    refuse("linux.resources.network.priorities", "cgroup v2 has no network priorities");
  }
  return [
    ...(resources.cpu === undefined ? [] : [...cpuSettings(resources.cpu, read), ...cpusetSettings(resources.cpu)]),
    ...(resources.memory === undefined ? [] : memorySettings(resources.memory, read)),
    ...(resources.pids === undefined ? [] : pidsSettings(resources.pids)),
    ...(resources.blockIO === undefined ? [] : ioSettings(resources.blockIO, read)),
    ...hugetlbSettings(resources.hugepageLimits ?? []),
    ...unifiedSettings(resources.unified ?? {}),
  ];
}

function refuseUnknown(part: object, known: string, field: string): void {
  const names = known.split(" ");
  const unknown = Object.keys(part).find((name) => !names.includes(name));
  if (unknown !== undefined) refuse(`${field}.${unknown}`, "it is not known here");
}
