/** Clocks, random numbers, device filters: see index.ts. */
import { addon } from "./addon.ts";

/** Sets CLOCK_REALTIME, in nanoseconds since the epoch. */
export function clockSettime(realtimeNs: bigint): void {
  addon.clockSettime(realtimeNs);
}

/** CLOCK_REALTIME, nanoseconds since the epoch. */
export function realtime(): bigint {
  return addon.realtime();
}

/** Steps CLOCK_REALTIME by a difference in nanoseconds, which may be negative. Takes CAP_SYS_TIME. */
export function adjustRealtime(differenceNs: bigint): void {
  addon.adjustRealtime(differenceNs);
}

/**
 * Lets CLOCK_REALTIME run faster or slower by 500 parts per million until it has made up for a difference in nanoseconds, in
 * place of an earlier one (adjtime(3)). Takes CAP_SYS_TIME.
 */
export function slewRealtime(differenceNs: bigint): void {
  addon.slewRealtime(differenceNs);
}

/**
 * Mixes 1 to 4096 secret bytes into the kernel's random pool, credits all of them, and has the generator take a new key
 * from it at once (random(4): RNDADDENTROPY, RNDRESEEDCRNG), so that two clones of one memory image differ from here on.
 */
export function addEntropy(data: Uint8Array): void {
  addon.addEntropy(data);
}

/**
 * Loads an eBPF program of type BPF_PROG_TYPE_CGROUP_DEVICE (8 bytes an instruction).
 * @returns its descriptor, for the caller to close; cgroups that have it attached keep it.
 * @throws with the end of the verifier's log in the message when the kernel refuses the program.
 */
export function loadDeviceFilter(program: Uint8Array): number {
  return addon.loadDeviceFilter(program);
}

/**
 * Attaches a loaded device filter to a cgroup v2 folder, in the place of the one `replacedFd` or else in addition to those
 * already there; a device is allowed when all of them allow it.
 */
export function attachDeviceFilter(cgroupFd: number, filterFd: number, replacedFd = -1): void {
  addon.attachDeviceFilter(cgroupFd, filterFd, replacedFd);
}

/** The processor's time stamp counter (RDTSC), which an emulated guest reads as well, whatever its rate. */
export function readTsc(): bigint {
  return addon.readTsc();
}
