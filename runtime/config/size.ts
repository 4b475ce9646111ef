/**
 * A sandbox's memory and vCPUs. Both are ceilings: memory that the guest never touches costs the host nothing, and the
 * container's own limits are kept by cgroups inside. Each size is a template of its own, so derived sizes are rounded up
 * to powers of two.
 */
import { CaissonError } from "../../protocol/errors.ts";
import type { CpuResources, Int64, Spec } from "../../protocol/oci.ts";
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
