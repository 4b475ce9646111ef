import type { Link } from "./dump.ts";

/**
 * Which network device each interface has, by the interface's index. One that has a device keeps it. Interfaces whose name
 * is one that the guest gives its devices (eth0, eth1 ...) get that device: then no two ever want each other's name.
 */
export function assignDevices(
  links: readonly Link[],
  before: ReadonlyMap<number, number>,
  count: number,
): Map<number, number> {
  const devices = new Map(before);
  const free = new Set(Array.from({ length: count }, (_, device) => device));
  for (const device of before.values()) free.delete(device);
  const assign = (link: Link, device: number | undefined) => {
    if (device === undefined || devices.has(link.index) || !free.delete(device)) return;
    devices.set(link.index, device);
  };
  for (const link of links) assign(link, namesake(link));
  for (const link of links) assign(link, free.values().next().value);
  return devices;
}

function namesake({ name }: Link): number | undefined {
  const digits = /^eth(0|[1-9]\d*)$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
