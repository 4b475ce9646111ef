/** What /proc says of the guest, text in and values out (proc(5), Documentation/admin-guide/iostats.rst). */
import type { GuestCpu, GuestDisk, GuestInterface, GuestLoad, GuestMemory } from "../../protocol/generated/agent.ts";

/** USER_HZ is 100 on every Linux that Node runs on (time(7)). */
const NS_PER_TICK = 10_000_000n;
const NS_PER_MS = 1_000_000n;
/** The size of a sector in /proc/diskstats, whatever the device's own sectors are. */
const SECTOR_BYTES = 512n;
const KIB = 1024n;
/** The limit that agent.proto promises. */
const DEVICE_LIMIT = 64;

/** Whole disks, by the names that the guest's drivers give: no partitions, no loop devices or ramdisks. */
const DISK = /^(vd[a-z]+|sd[a-z]+)$/;

/** The line of all CPUs of /proc/stat. */
export function parseCpu(stat: string): GuestCpu {
  const line = /^cpu +(.*)$/m.exec(stat)?.[1] ?? "";
  const [
    userNs = 0n,
    niceNs = 0n,
    systemNs = 0n,
    idleNs = 0n,
    iowaitNs = 0n,
    irqNs = 0n,
    softirqNs = 0n,
    stealNs = 0n,
  ] = numbers(line).map((ticks) => ticks * NS_PER_TICK);
  return { userNs, niceNs, systemNs, idleNs, iowaitNs, irqNs, softirqNs, stealNs };
}

/** /proc/meminfo, and oom_kill of /proc/vmstat. */
export function parseMemory(meminfo: string, vmstat: string): GuestMemory {
  const kib = new Map([...meminfo.matchAll(/^(\w+): +(\d+)/gm)].map(([, key, value]) => [key, BigInt(value ?? 0)]));
  const bytes = (key: string): bigint => (kib.get(key) ?? 0n) * KIB;
  return {
    total: bytes("MemTotal"),
    free: bytes("MemFree"),
    available: bytes("MemAvailable"),
    buffers: bytes("Buffers"),
    cached: bytes("Cached"),
    shmem: bytes("Shmem"),
    slab: bytes("Slab"),
    dirty: bytes("Dirty"),
    swapTotal: bytes("SwapTotal"),
    swapFree: bytes("SwapFree"),
    oomKills: numberAt(vmstat, "oom_kill"),
  };
}

/** The whole disks of /proc/diskstats. */
export function parseDisks(diskstats: string): GuestDisk[] {
  return diskstats
    .split("\n")
    .map((line) => line.trim().split(/ +/))
    .filter(([, , name = ""]) => DISK.test(name))
    .slice(0, DEVICE_LIMIT)
    .map(([, , name = "", ...rest]) => {
      const [reads = 0n, , sectorsRead = 0n, , writes = 0n, , sectorsWritten = 0n, , , busyMs = 0n] = numbers(
        rest.join(" "),
      );
      const bytes = { readBytes: sectorsRead * SECTOR_BYTES, writtenBytes: sectorsWritten * SECTOR_BYTES };
      return { name, reads, writes, ...bytes, ioNs: busyMs * NS_PER_MS };
    });
}

/** The interfaces of several /proc/net/dev, added up by name. */
export function parseInterfaces(texts: readonly string[]): GuestInterface[] {
  const found = new Map<string, GuestInterface>();
  for (const [, name = "", rest = ""] of texts.flatMap((text) => [...text.matchAll(/^ *([^\s:|]+): *(.*)$/gm)])) {
    const n = numbers(rest);
    const at = (index: number): bigint => n[index] ?? 0n;
    const before = found.get(name);
    if (before === undefined && found.size >= DEVICE_LIMIT) continue;
    found.set(name, {
      name,
      receivedBytes: (before?.receivedBytes ?? 0n) + at(0),
      receivedPackets: (before?.receivedPackets ?? 0n) + at(1),
      receiveErrors: (before?.receiveErrors ?? 0n) + at(2),
      receiveDrops: (before?.receiveDrops ?? 0n) + at(3),
      sentBytes: (before?.sentBytes ?? 0n) + at(8),
      sentPackets: (before?.sentPackets ?? 0n) + at(9),
      sendErrors: (before?.sendErrors ?? 0n) + at(10),
      sendDrops: (before?.sendDrops ?? 0n) + at(11),
    });
  }
  return [...found.values()];
}

/** /proc/loadavg, and what /proc/stat counts of processes. */
export function parseLoad(loadavg: string, stat: string): GuestLoad {
  const [load1, load5, load15, threads] = loadavg.split(" ");
  return {
    load1: Number(load1) || 0,
    load5: Number(load5) || 0,
    load15: Number(load15) || 0,
    running: numberAt(stat, "procs_running"),
    blocked: numberAt(stat, "procs_blocked"),
    threads: BigInt(threads?.split("/")[1] ?? 0),
    forks: numberAt(stat, "processes"),
  };
}

/** The number of a line `key number`. */
function numberAt(text: string, key: string): bigint {
  return BigInt(new RegExp(`^${key} (\\d+)$`, "m").exec(text)?.[1] ?? 0);
}

function numbers(text: string): bigint[] {
  return text
    .split(/ +/)
    .filter((word) => /^\d+$/.test(word))
    .map(BigInt);
}
