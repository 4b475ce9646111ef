/** config-linux.md, Control groups. */
import type { Int64 } from "./integer.ts";

export interface Resources {
  devices?: DeviceRule[] | undefined;
  memory?: MemoryResources | undefined;
  cpu?: CpuResources | undefined;
  pids?: PidsResources | undefined;
  blockIO?: BlockIoResources | undefined;
  hugepageLimits?: HugepageLimit[] | undefined;
  network?: NetworkResources | undefined;
  rdma?: Record<string, RdmaLimit> | undefined;
  /** cgroup v2 file names and what to write into them. */
  unified?: Record<string, string> | undefined;
}

/** A rule of the device allow-list; later rules win. */
export interface DeviceRule {
  allow: boolean;
  /** `a`: both kinds, the default. */
  type?: "a" | "c" | "b" | undefined;
  /** Absent or -1: every number. */
  major?: number | undefined;
  minor?: number | undefined;
  /** Some of the letters r, w, m; absent: all. */
  access?: string | undefined;
}

/** Bytes; -1 means unlimited. */
export interface MemoryResources {
  limit?: Int64 | undefined;
  reservation?: Int64 | undefined;
  /** Memory and swap together. */
  swap?: Int64 | undefined;
  kernel?: Int64 | undefined;
  kernelTCP?: Int64 | undefined;
  swappiness?: Int64 | undefined;
  disableOOMKiller?: boolean | undefined;
  useHierarchy?: boolean | undefined;
  checkBeforeUpdate?: boolean | undefined;
}

/** Times in microseconds. */
export interface CpuResources {
  /** cgroup v1 scale, 2 to 262144; 0 leaves the kernel's default. */
  shares?: Int64 | undefined;
  /** Negative: unlimited. */
  quota?: Int64 | undefined;
  burst?: Int64 | undefined;
  period?: Int64 | undefined;
  realtimeRuntime?: Int64 | undefined;
  realtimePeriod?: Int64 | undefined;
  cpus?: string | undefined;
  mems?: string | undefined;
  /** 1: SCHED_IDLE for the whole cgroup. */
  idle?: Int64 | undefined;
}

export interface PidsResources {
  /** 0 or less: unlimited (config-linux.md 1.2: a negative number; runc reads 0 so, too). */
  limit?: Int64 | undefined;
}

export interface BlockIoResources {
  /** cgroup v1 scale, 10 to 1000; 0 leaves the default. */
  weight?: number | undefined;
  leafWeight?: number | undefined;
  weightDevice?: WeightDevice[] | undefined;
  throttleReadBpsDevice?: ThrottleDevice[] | undefined;
  throttleWriteBpsDevice?: ThrottleDevice[] | undefined;
  throttleReadIOPSDevice?: ThrottleDevice[] | undefined;
  throttleWriteIOPSDevice?: ThrottleDevice[] | undefined;
}

export interface WeightDevice {
  major: number;
  minor: number;
  weight?: number | undefined;
  leafWeight?: number | undefined;
}

export interface ThrottleDevice {
  major: number;
  minor: number;
  /** Bytes or operations a second. */
  rate?: Int64 | undefined;
}

export interface HugepageLimit {
  /** The size as the kernel's file names have it, `2MB`. */
  pageSize: string;
  /** Bytes. */
  limit: Int64;
}

export interface NetworkResources {
  classID?: number | undefined;
  priorities?: NetworkPriority[] | undefined;
}

export interface NetworkPriority {
  name: string;
  priority: number;
}

export interface RdmaLimit {
  hcaHandles?: number | undefined;
  hcaObjects?: number | undefined;
}
