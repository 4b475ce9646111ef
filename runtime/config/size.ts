/**
 * A sandbox's memory and vCPUs. Both are ceilings: memory that the guest never touches costs the host nothing, and the
 * container's own limits are kept by cgroups inside. Each size is a template of its own, so derived sizes are rounded up
 * to powers of two.
 */
import { CaissonError } from "../../protocol/errors.ts";
import type { CpuResources, Int64, Resources, Spec } from "../../protocol/oci.ts";
import { parseCpuList } from "../oci/checks/cpu-list.ts";
import type { Settings } from "./settings.ts";

export interface SandboxSize {
  memoryMib: number;
  vcpus: number;
}

/** The least that kernel, agent and a small container run in. */
const SMALLEST_MEMORY_MIB = 256;
const MIB = 1024 * 1024;

/**
 * What the settings say, else the container's limits plus the overhead, else the settings' defaults; `host` is what the
 * machine has. Throws CAISSON_E_SETTINGS when memory_mib or vcpus is more than that; a derived size is cut to it.
 */
export function sandboxSize(config: Spec, settings: Settings, host: SandboxSize): SandboxSize {
  const { memory, cpu } = config.linux?.resources ?? {};
  return {
    memoryMib:
      within(settings.memoryMib, host.memoryMib, "memory_mib", "MiB of memory") ??
      Math.min(roundUp(memoryNeeded(memory?.limit, settings), SMALLEST_MEMORY_MIB), host.memoryMib),
    vcpus:
      within(settings.vcpus, host.vcpus, "vcpus", "CPUs") ??
      Math.min(roundUp(cpusNeeded(cpu) ?? settings.defaultVcpus, 1), host.vcpus),
  };
}

/** What a container's limits ask for; what has no limit is undefined. */
export interface ContainerNeeds {
  memoryMib?: number | undefined;
  vcpus?: number | undefined;
}

/** @returns what is named: no limit is, too. */
export function needsOf({ memory, cpu }: Resources): ContainerNeeds {
  const { limit } = memory ?? {};
  const isCpuNamed = [cpu?.quota, cpu?.cpus || undefined].some((value) => value !== undefined);
  return {
    ...(limit !== undefined && { memoryMib: limit > 0 ? Math.ceil(Number(limit) / MIB) : undefined }),
    ...(isCpuNamed && { vcpus: cpusNeeded(cpu) }),
  };
}

/** What a VM needs for containers with these limits together. */
export function vmNeeds(containers: readonly ContainerNeeds[], overheadMib: number): SandboxSize {
  const sum = (values: readonly (number | undefined)[]) => values.reduce<number>((all, value) => all + (value ?? 0), 0);
  return {
    memoryMib: sum(containers.map(({ memoryMib }) => memoryMib)) + overheadMib,
    vcpus: sum(containers.map(({ vcpus }) => vcpus)),
  };
}

/** Up to so many CPUs a VM is given room for by itself: each is a thread of QEMU's, and 200 KiB of the guest's. */
const ROOM_VCPUS = 8;

/** The memory to which a sandbox of that size may grow, MiB: a share of the host's, unless its size is an exact one. */
export function memoryCeiling(size: SandboxSize, settings: Settings, host: SandboxSize): number {
  if (settings.memoryMib !== undefined) return size.memoryMib;
  return Math.max(size.memoryMib, Math.floor((host.memoryMib * settings.maxMemoryPercent) / 100));
}

/**
 * The CPUs to which a sandbox of that size may grow.
 * @param inTurn whether those of a VM with several run in turn, on one CPU of the host: one with a single CPU is then not given others unasked.
 */
export function mostVcpus(size: SandboxSize, settings: Settings, host: SandboxSize, inTurn: boolean): number {
  const asked = settings.maxVcpus;
  if (asked !== undefined) return Math.max(size.vcpus, Math.min(asked, host.vcpus));
  if (settings.vcpus !== undefined || (inTurn && size.vcpus === 1)) return size.vcpus;
  return Math.max(size.vcpus, Math.min(ROOM_VCPUS, host.vcpus));
}

function within(wanted: number | undefined, available: number, field: string, unit: string): number | undefined {
  if (wanted === undefined || wanted <= available) return wanted;
  throw new CaissonError("CAISSON_E_SETTINGS", `${field} is ${wanted}, and this host has ${available} ${unit}`, {
    field,
    remedy: `Set ${field} to at most ${available}, or leave it out to size the sandbox by its container.`,
  });
}

function memoryNeeded(limit: Int64 | undefined, settings: Settings): number {
  // 0 and negative numbers mean no limit.
  if (limit === undefined || limit <= 0) return settings.defaultMemoryMib;
  return Math.ceil(Number(limit) / MIB) + settings.memoryOverheadMib;
}

/** The CPUs that the quota keeps busy or the cpuset names, the smaller number; nothing without either. */
function cpusNeeded({ quota = 0, period = 0, cpus = "" }: CpuResources = {}): number | undefined {
  // The kernel's default period is 100 ms (sched-bwc.rst).
  const byQuota = quota > 0 ? Math.ceil(Number(quota) / Number(period || 100_000)) : undefined;
  const byCpuset = parseCpuList(cpus)?.length || undefined;
  const numbers = [byQuota, byCpuset].filter((number) => number !== undefined);
  return numbers.length === 0 ? undefined : Math.min(...numbers);
}

function roundUp(value: number, smallest: number): number {
  return Math.max(smallest, 2 ** Math.ceil(Math.log2(value)));
}
