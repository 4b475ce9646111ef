import type { HugetlbStats, IoStats, Pressure, PressureLine, StatsResponse } from "../../protocol/generated/agent.ts";
import type { Cgroup } from "./cgroup.ts";

const UNLIMITED = 2n ** 64n - 1n;

/** The readings of a cgroup; what its controllers do not offer is zero or unset. */
export function readStats(cgroup: Cgroup): StatsResponse {
  const read = (file: string): string => cgroup.read(file) ?? "";
  const cpuStat = flatKeyed(read("cpu.stat"));
  const cpu = (key: string): bigint => cpuStat[key] ?? 0n;
  return {
    cpu: {
      usageUsec: cpu("usage_usec"),
      userUsec: cpu("user_usec"),
      systemUsec: cpu("system_usec"),
      nrPeriods: cpu("nr_periods"),
      nrThrottled: cpu("nr_throttled"),
      throttledUsec: cpu("throttled_usec"),
      pressure: parsePressure(read("cpu.pressure")),
    },
    memory: {
      usage: single(read("memory.current")),
      limit: single(read("memory.max")),
      peak: single(read("memory.peak")),
      swapUsage: single(read("memory.swap.current")),
      swapLimit: single(read("memory.swap.max")),
      stat: flatKeyed(read("memory.stat")),
      events: flatKeyed(read("memory.events")),
      pressure: parsePressure(read("memory.pressure")),
    },
    pids: { current: single(read("pids.current")), limit: single(read("pids.max")) },
    io: parseIo(read("io.stat")),
    hugetlb: readHugetlb(cgroup),
  };
}

/** A file of `key value` lines. */
export function flatKeyed(text: string): Record<string, bigint> {
  const values: Record<string, bigint> = {};
  for (const line of text.split("\n")) {
    const space = line.indexOf(" ");
    if (space > 0) values[line.slice(0, space)] = BigInt(line.slice(space + 1));
  }
  return values;
}

/** A pressure file (Documentation/accounting/psi.rst); undefined when it is empty or absent. */
export function parsePressure(text: string): Pressure | undefined {
  if (text === "") return undefined;
  const pressure: Pressure = { some: undefined, full: undefined };
  for (const line of text.split("\n")) {
    const match = /^(some|full) avg10=([\d.]+) avg60=([\d.]+) avg300=([\d.]+) total=(\d+)$/.exec(line);
    if (match === null) continue;
    const [, kind, avg10, avg60, avg300, total = "0"] = match;
    const parsed: PressureLine = {
      avg10: Number(avg10),
      avg60: Number(avg60),
      avg300: Number(avg300),
      total: BigInt(total),
    };
    pressure[kind as "some" | "full"] = parsed;
  }
  return pressure;
}

/** io.stat: a line per device, `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`. */
export function parseIo(text: string): IoStats[] {
  const stats: IoStats[] = [];
  for (const line of text.split("\n")) {
    const [device = "", ...pairs] = line.split(" ");
    const numbers = /^(\d+):(\d+)$/.exec(device);
    if (numbers === null) continue;
    const values = Object.fromEntries(pairs.map((pair) => pair.split("=") as [string, string]));
    const value = (key: string): bigint => BigInt(values[key] ?? 0);
    stats.push({
      major: BigInt(numbers[1] ?? 0),
      minor: BigInt(numbers[2] ?? 0),
      rbytes: value("rbytes"),
      wbytes: value("wbytes"),
      rios: value("rios"),
      wios: value("wios"),
      dbytes: value("dbytes"),
      dios: value("dios"),
    });
  }
  return stats;
}

function readHugetlb(cgroup: Cgroup): HugetlbStats[] {
  return cgroup.pageSizes().map((pageSize) => ({
    pageSize,
    current: single(cgroup.read(`hugetlb.${pageSize}.current`) ?? ""),
    limit: single(cgroup.read(`hugetlb.${pageSize}.max`) ?? ""),
    failures: BigInt(/^max (\d+)$/m.exec(cgroup.read(`hugetlb.${pageSize}.events`) ?? "")?.[1] ?? 0),
  }));
}

function single(text: string): bigint {
  if (text === "") return 0n;
  return text === "max" ? UNLIMITED : BigInt(text);
}
