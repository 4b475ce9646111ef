import type { IoEntry, Metrics } from "../../protocol/generated/containerd/metrics.ts";

/** No limit, and what a sum cannot exceed. */
const MOST = 2n ** 64n - 1n;

/** What several cgroups use together; a limit is that of all, and none when one has none. Pressure is the worst one's. */
export function sumMetrics(all: readonly Metrics[]): Metrics {
  const devices = new Map<string, IoEntry>();
  for (const entry of all.flatMap(({ io }) => io?.usage ?? [])) {
    const key = `${entry.major}:${entry.minor}`;
    devices.set(key, { ...add(devices.get(key), entry), major: entry.major, minor: entry.minor });
  }
  const pages = new Map<string, Metrics["hugetlb"][number]>();
  for (const entry of all.flatMap(({ hugetlb }) => hugetlb)) {
    pages.set(entry.pagesize, add(pages.get(entry.pagesize), entry));
  }
  return {
    pids: total(all.map(({ pids }) => pids)),
    cpu: total(all.map(({ cpu }) => cpu)),
    memory: total(all.map(({ memory }) => memory)),
    memoryEvents: total(all.map(({ memoryEvents }) => memoryEvents)),
    io: { usage: [...devices.values()] },
    hugetlb: [...pages.values()],
  };
}

function total<T extends object>(parts: readonly (T | undefined)[]): T | undefined {
  return parts.reduce<T | undefined>((sum, part) => (part === undefined ? sum : add(sum, part)), undefined);
}

/** Field by field. */
function add<T extends object>(sum: T | undefined, more: T): T {
  if (sum === undefined) return more;
  const entries = Object.entries(more).map(([key, value]: [string, unknown]) => {
    const before = (sum as Record<string, unknown>)[key];
    return [key, before === undefined ? value : addValue(before, value)];
  });
  return { ...sum, ...(Object.fromEntries(entries) as T) };
}

function addValue(before: unknown, value: unknown): unknown {
  if (typeof before === "bigint" && typeof value === "bigint") return before + value > MOST ? MOST : before + value;
  if (typeof before === "number" && typeof value === "number") return Math.max(before, value);
  if (typeof before === "object" && typeof value === "object" && before !== null && value !== null) {
    return add(before, value);
  }
  return value ?? before;
}
