import { readFileSync } from "node:fs";

/** What a kernel has, bytes. */
export interface MemoryNow {
  total: number;
  /** What programs can have without others losing theirs: free, or a cache's. */
  available: number;
}

/** @throws Error when the text of /proc/meminfo lacks one of them. */
export function parseMeminfo(text: string): MemoryNow {
  const bytes = (name: string): number => {
    const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text)?.[1];
    if (kib === undefined) throw new Error(`/proc/meminfo has no ${name}`);
    return Number(kib) * 1024;
  };
  return { total: bytes("MemTotal"), available: bytes("MemAvailable") };
}

export function readMeminfo(): MemoryNow {
  return parseMeminfo(readFileSync("/proc/meminfo", "latin1"));
}
