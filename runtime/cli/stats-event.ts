/** A container's readings in the form of runc's `events`, which monitoring tools read. */
import type { Pressure, StatsResponse } from "../../protocol/generated/agent.ts";

/** The stats as JSON carries them over the control socket: 64-bit numbers are decimal strings. */
export type Wire<T> = T extends bigint ? string : T extends object ? { [K in keyof T]: Wire<T[K]> } : T;
export type WireStats = Wire<StatsResponse>;

const NS_PER_USEC = 1000n;

/** The `data` of runc's stats event; what a cgroup v2 cannot tell (per-CPU times, kernel memory) is left out. */
export function statsData({ cpu, memory, pids, io, hugetlb }: WireStats): Record<string, unknown> {
  return {
    cpu: {
      usage: {
        total: nanoseconds(cpu?.usageUsec),
        kernel: nanoseconds(cpu?.systemUsec),
        user: nanoseconds(cpu?.userUsec),
      },
      throttling: {
        periods: integer(cpu?.nrPeriods),
        throttledPeriods: integer(cpu?.nrThrottled),
        throttledTime: nanoseconds(cpu?.throttledUsec),
      },
      ...pressure(cpu?.pressure),
    },
    memory: {
      cache: integer(memory?.stat["file"]),
      usage: {
        limit: integer(memory?.limit),
        usage: integer(memory?.usage),
        max: integer(memory?.peak),
        failcnt: integer(memory?.events["max"]),
      },
      swap: { limit: integer(memory?.swapLimit), usage: integer(memory?.swapUsage), failcnt: 0n },
      raw: integers(memory?.stat ?? {}),
      ...pressure(memory?.pressure),
      event_count: integers(memory?.events ?? {}),
    },
    pids: { current: integer(pids?.current), limit: integer(pids?.limit) },
    blkio: {
      ioServiceBytesRecursive: io.flatMap(({ major, minor, rbytes, wbytes, dbytes }) =>
        operations({ major, minor }, { Read: rbytes, Write: wbytes, Discard: dbytes }),
      ),
      ioServicedRecursive: io.flatMap(({ major, minor, rios, wios, dios }) =>
        operations({ major, minor }, { Read: rios, Write: wios, Discard: dios }),
      ),
    },
    hugetlb: Object.fromEntries(
      hugetlb.map(({ pageSize, current, failures }) => [
        pageSize,
        { usage: integer(current), failcnt: integer(failures) },
      ]),
    ),
    intel_rdt: {},
    network_interfaces: null,
  };
}

/** How often the kernel's OOM killer has killed in the container so far. */
export function oomKills({ memory }: WireStats): bigint {
  return integer(memory?.events["oom_kill"]);
}

/** Whether it did so without a limit of the container's having been hit: the VM's memory was exhausted. */
export function vmIsExhausted(stats: WireStats): boolean {
  return oomKills(stats) > 0n && integer(stats.memory?.events["oom"]) === 0n;
}

function operations(device: { major: string | number; minor: string | number }, values: Record<string, string>) {
  return Object.entries(values).map(([op, value]) => ({
    major: integer(device.major),
    minor: integer(device.minor),
    op,
    value: integer(value),
  }));
}

function pressure(psi: Wire<Pressure> | undefined): Record<string, unknown> {
  if (psi === undefined) return {};
  const line = (values: Wire<Pressure>["some"]) =>
    values && { avg10: values.avg10, avg60: values.avg60, avg300: values.avg300, total: integer(values.total) };
  return { psi: { some: line(psi.some), full: line(psi.full) } };
}

function integers(values: Record<string, string>): Record<string, bigint> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, integer(value)]));
}

function nanoseconds(microseconds: string | undefined): bigint {
  return integer(microseconds) * NS_PER_USEC;
}

function integer(text: string | number | undefined): bigint {
  return BigInt(text ?? 0);
}
