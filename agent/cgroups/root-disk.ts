import { closeSync, constants, openSync, statSync } from "node:fs";
import { attachDeviceFilter, loadDeviceFilter } from "../../native/posix/index.ts";
import { deviceFilter } from "./devices.ts";

/**
 * Lets nobody open the disk that the guest's root is on any more: a filter of the topmost cgroup, so no container's own
 * rules, nor its way out of its cgroup, lead past it. What is mounted stays.
 */
export function closeRootDisk(cgroupRoot: string): void {
  const { dev } = statSync("/", { bigint: true });
  const rule = { allow: false, type: "b" as const, ...numbersOf(dev), access: "rw" };
  const filter = loadDeviceFilter(deviceFilter([{ allow: true }, rule]));
  const cgroup = openSync(cgroupRoot, constants.O_RDONLY | constants.O_DIRECTORY);
  attachDeviceFilter(cgroup, filter);
  closeSync(cgroup);
  closeSync(filter);
}

/** makedev(3). */
export function numbersOf(dev: bigint): { major: number; minor: number } {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn & 0xffffffffn);
  return { major: Number(major), minor: Number(minor) };
}
