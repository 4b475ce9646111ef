import { readFileSync, readlinkSync } from "node:fs";
import type { GuestStatsResponse } from "../../protocol/generated/agent.ts";
import { parsePressure } from "../cgroups/stats.ts";
import { parseCpu, parseDisks, parseInterfaces, parseLoad, parseMemory } from "./parse.ts";

const NS_PER_US = 1000n;

/** The readings of the guest; `inits` are its containers' init processes, whose network namespaces count as well. */
export function readGuestStats(inits: readonly number[]): GuestStatsResponse {
  const stat = read("/proc/stat");
  const { user, system } = process.cpuUsage();
  return {
    cpu: parseCpu(stat),
    memory: parseMemory(read("/proc/meminfo"), read("/proc/vmstat")),
    disks: parseDisks(read("/proc/diskstats")),
    interfaces: parseInterfaces(networkTexts(inits)),
    cpuPressure: parsePressure(read("/proc/pressure/cpu")),
    memoryPressure: parsePressure(read("/proc/pressure/memory")),
    ioPressure: parsePressure(read("/proc/pressure/io")),
    load: parseLoad(read("/proc/loadavg"), stat),
    agentCpuNs: BigInt(user + system) * NS_PER_US,
    agentResidentBytes: BigInt(process.memoryUsage.rss()),
  };
}

/** /proc/net/dev of each network namespace, once. */
function networkTexts(inits: readonly number[]): string[] {
  const seen = new Set<string>();
  const texts: string[] = [];
  for (const process of ["self", ...inits.map(String)]) {
    try {
      const namespace = readlinkSync(`/proc/${process}/ns/net`);
      if (seen.has(namespace)) continue;
      seen.add(namespace);
      texts.push(readFileSync(`/proc/${process}/net/dev`, "latin1"));
    } catch {
      // The process has ended.
    }
  }
  return texts;
}

/** The kernel may be built without what a file tells. */
function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
