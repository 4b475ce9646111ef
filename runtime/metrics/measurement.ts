/** What a sandbox's daemon says of it when it is asked to measure: JSON on the control socket. */
import type { ErrorCode } from "../../protocol/errors.ts";
import type { GuestStatsResponse, Pressure } from "../../protocol/generated/agent.ts";
import type { CallValue } from "./agent-calls.ts";
import type { Origin } from "./totals.ts";

export interface MeasuredProcess {
  role: "shim" | "hypervisor" | "virtiofsd";
  pid: number;
}

/** A pod as Kubernetes knows it. */
export interface PodNames {
  name: string;
  namespace: string;
  uid: string;
}

export interface Measurement {
  id: string;
  origin: Origin;
  vcpus: number;
  memoryMib: number;
  pod?: PodNames | undefined;
  processes: MeasuredProcess[];
  agentCalls: Record<string, CallValue>;
  /** Why there are no readings of the guest's. */
  problem?: ErrorCode | undefined;
  guest?: GuestReadings | undefined;
}

type Numbers<T> = { [Key in keyof T]: number };

/** What a disk, or an interface, has done: numbers by the names of agent.proto, but for its own. */
export type DeviceReadings = { name: string } & Record<string, number | string>;

export interface GuestReadings {
  cpu: Record<string, number>;
  memory: Record<string, number>;
  disks: DeviceReadings[];
  interfaces: DeviceReadings[];
  /** Seconds that some, and all, tasks have waited. */
  pressure: Record<"cpu" | "memory" | "io", { some: number; full: number } | undefined>;
  load: Record<string, number>;
  agentCpuNs: number;
  agentResidentBytes: number;
}

const US_PER_SECOND = 1e6;
/** Disks by the names that the guest's drivers give. */
const DISK = /^(vd|sd)[a-z]$/;
/** What all others are shown as, together. */
const OTHERS = "other";

/**
 * The guest's answer as numbers. The guest names its devices, and may name them anew each time: a name that is not
 * expected is shown as "other", so that no guest makes a label of its own.
 * @param interfaces names that the host has given.
 */
export function toReadings(stats: GuestStatsResponse, interfaces: readonly string[]): GuestReadings {
  const known = new Set(["lo", ...interfaces]);
  return {
    cpu: toNumbers(stats.cpu ?? {}),
    memory: toNumbers(stats.memory ?? {}),
    disks: sumByName(stats.disks, (name) => DISK.test(name)),
    interfaces: sumByName(stats.interfaces, (name) => known.has(name)),
    pressure: {
      cpu: toPressure(stats.cpuPressure),
      memory: toPressure(stats.memoryPressure),
      io: toPressure(stats.ioPressure),
    },
    load: toNumbers(stats.load ?? {}),
    agentCpuNs: Number(stats.agentCpuNs),
    agentResidentBytes: Number(stats.agentResidentBytes),
  };
}

function toNumbers<T extends object>(values: T): Record<string, number> {
  const entries = Object.entries(values) as [string, number | bigint][];
  return Object.fromEntries(entries.map(([key, value]) => [key, Number(value)])) as Numbers<T>;
}

function sumByName<T extends { name: string }>(
  devices: readonly T[],
  isKnown: (name: string) => boolean,
): DeviceReadings[] {
  const sums = new Map<string, Record<string, number>>();
  for (const { name: given, ...rest } of devices) {
    const name = isKnown(given) ? given : OTHERS;
    const sum = sums.get(name) ?? {};
    for (const [key, value] of Object.entries(toNumbers(rest))) sum[key] = (sum[key] ?? 0) + value;
    sums.set(name, sum);
  }
  return [...sums].map(([name, sum]) => ({ ...sum, name }));
}

function toPressure(pressure: Pressure | undefined): { some: number; full: number } | undefined {
  if (pressure === undefined) return undefined;
  const { some, full } = pressure;
  return { some: Number(some?.total ?? 0n) / US_PER_SECOND, full: Number(full?.total ?? 0n) / US_PER_SECOND };
}
