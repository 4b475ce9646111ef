import { readdir, readFile } from "node:fs/promises";

/** What the kernel says of a process of the host (proc(5)). */
export interface HostProcess {
  /** User and system together. */
  cpuSeconds: number;
  residentBytes: number;
  /** Its own pages, and its share of those that others have as well (PSS); undefined where the kernel does not say. */
  proportionalBytes: number | undefined;
  threads: number;
  fds: number;
}

/** USER_HZ (time(7)). */
const TICKS_PER_SECOND = 100;
const KIB = 1024;

/** Undefined for a process that is gone. */
export async function readHostProcess(pid: number): Promise<HostProcess | undefined> {
  try {
    const folder = `/proc/${pid}`;
    const [stat, status, smaps, fds] = await Promise.all([
      readFile(`${folder}/stat`, "latin1"),
      readFile(`${folder}/status`, "latin1"),
      readFile(`${folder}/smaps_rollup`, "latin1").catch(() => ""),
      readdir(`${folder}/fd`).catch(() => []),
    ]);
    return parseHostProcess(stat, status, smaps, fds.length);
  } catch {
    return undefined;
  }
}

/** The pure half: texts of /proc/PID/stat, status and smaps_rollup. */
export function parseHostProcess(stat: string, status: string, smaps: string, fds: number): HostProcess {
  // The name in parentheses may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const field = (number: number): number => Number(fields[number - 3] ?? 0);
  const kib = (text: string, key: string): number | undefined => {
    const found = new RegExp(`^${key}:\\s+(\\d+) kB$`, "m").exec(text)?.[1];
    return found === undefined ? undefined : Number(found) * KIB;
  };
  return {
    cpuSeconds: (field(14) + field(15)) / TICKS_PER_SECOND,
    residentBytes: kib(status, "VmRSS") ?? 0,
    proportionalBytes: kib(smaps, "Pss"),
    threads: field(20),
    fds,
  };
}
