import type { Pressure, StatsResponse } from "../../protocol/generated/agent.ts";
import type { MemoryMetrics, Metrics, PressureStats } from "../../protocol/generated/containerd/metrics.ts";

/** memory.stat's keys that containerd has a field for. */
const MEMORY_KEYS = {
  anon: "anon",
  file: "file",
  kernelStack: "kernel_stack",
  slab: "slab",
  sock: "sock",
  shmem: "shmem",
  fileMapped: "file_mapped",
  fileDirty: "file_dirty",
  fileWriteback: "file_writeback",
  anonThp: "anon_thp",
  inactiveAnon: "inactive_anon",
  activeAnon: "active_anon",
  inactiveFile: "inactive_file",
  activeFile: "active_file",
  unevictable: "unevictable",
  slabReclaimable: "slab_reclaimable",
  slabUnreclaimable: "slab_unreclaimable",
  pgfault: "pgfault",
  pgmajfault: "pgmajfault",
  workingsetRefault: "workingset_refault",
  workingsetActivate: "workingset_activate",
  workingsetNodereclaim: "workingset_nodereclaim",
  pgrefill: "pgrefill",
  pgscan: "pgscan",
  pgsteal: "pgsteal",
  pgactivate: "pgactivate",
  pgdeactivate: "pgdeactivate",
  pglazyfree: "pglazyfree",
  pglazyfreed: "pglazyfreed",
  thpFaultAlloc: "thp_fault_alloc",
  thpCollapseAlloc: "thp_collapse_alloc",
} as const satisfies Partial<Record<keyof MemoryMetrics, string>>;

/** The guest's readings of a container's cgroup as containerd's metrics for cgroup v2; no limit is 2^64-1 in both. */
export function toMetrics({ cpu, memory, pids, io, hugetlb }: StatsResponse): Metrics {
  return {
    pids,
    cpu: cpu && { ...cpu, psi: toPressure(cpu.pressure) },
    memory: memory && {
      ...memoryKeys(memory.stat),
      usage: memory.usage,
      usageLimit: memory.limit,
      swapUsage: memory.swapUsage,
      swapLimit: memory.swapLimit,
      maxUsage: memory.peak,
      psi: toPressure(memory.pressure),
    },
    memoryEvents: memory && {
      low: memory.events["low"] ?? 0n,
      high: memory.events["high"] ?? 0n,
      max: memory.events["max"] ?? 0n,
      oom: memory.events["oom"] ?? 0n,
      oomKill: memory.events["oom_kill"] ?? 0n,
    },
    io: {
      usage: io.map(({ major, minor, rbytes, wbytes, rios, wios }) => ({ major, minor, rbytes, wbytes, rios, wios })),
    },
    hugetlb: hugetlb.map(({ current, limit, pageSize }) => ({ current, max: limit, pagesize: pageSize })),
  };
}

function memoryKeys(stat: Record<string, bigint>): Record<keyof typeof MEMORY_KEYS, bigint> {
  const keys = Object.entries(MEMORY_KEYS).map(([field, key]) => [field, stat[key] ?? 0n]);
  return Object.fromEntries(keys) as Record<keyof typeof MEMORY_KEYS, bigint>;
}

function toPressure(pressure: Pressure | undefined): PressureStats | undefined {
  return pressure && { some: pressure.some, full: pressure.full };
}
