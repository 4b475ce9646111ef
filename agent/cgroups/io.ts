import type { BlockIoResources } from "../../protocol/oci.ts";
import { invalid, type ReadCgroupFile, refuse, type Setting } from "./setting.ts";

const FIELD = "linux.resources.blockIO";

const THROTTLES = [
  ["throttleReadBpsDevice", "rbps"],
  ["throttleWriteBpsDevice", "wbps"],
  ["throttleReadIOPSDevice", "riops"],
  ["throttleWriteIOPSDevice", "wiops"],
] as const;

/** The io.weight (1 to 10000) for a cgroup v1 blkio weight (10 to 1000), linear as runc converts it. */
export function weightOfBlkio(weight: number): number {
  return 1 + Math.floor(((weight - 10) * 9999) / 990);
}

/**
 * The writes for `linux.resources.blockIO`. Weights go to the BFQ scheduler's file where the kernel has it, which keeps
 * cgroup v1's scale, else to io.weight; devices are the guest's numbers.
 */
export function ioSettings(io: BlockIoResources, read: ReadCgroupFile): Setting[] {
  if (isWeight(io.leafWeight)) refuse(`${FIELD}.leafWeight`, "cgroup v2 has no weight for a group's own tasks");
  const settings: Setting[] = [];
  const bfq = read("io.bfq.weight") !== undefined;
  const weigh = (weight: number, field: string, device?: string): void => {
    if (weight < 10 || weight > 1000) invalid(field, `must be 10 to 1000, not ${weight}`);
    const value = `${bfq ? weight : weightOfBlkio(weight)}`;
    settings.push({
      file: bfq ? "io.bfq.weight" : "io.weight",
      value: `${device ?? "default"} ${value}`,
      field,
    });
  };
  if (isWeight(io.weight)) weigh(io.weight, `${FIELD}.weight`);
  for (const [index, device] of (io.weightDevice ?? []).entries()) {
    const field = `${FIELD}.weightDevice[${index}]`;
    if (isWeight(device.leafWeight)) {
      refuse(`${field}.leafWeight`, "cgroup v2 has no weight for a group's own tasks");
    }
    if (isWeight(device.weight)) weigh(device.weight, `${field}.weight`, `${device.major}:${device.minor}`);
  }
  for (const [name, key] of THROTTLES) {
    for (const [index, { major, minor, rate }] of (io[name] ?? []).entries()) {
      const field = `${FIELD}.${name}[${index}]`;
      // cgroup v1 reads a rate of 0 as "no limit", cgroup v2 refuses it.
      const value = rate === undefined || Number(rate) === 0 ? "max" : rate.toString();
      settings.push({ file: "io.max", value: `${major}:${minor} ${key}=${value}`, field });
    }
  }
  return settings;
}

function isWeight(weight: number | undefined): weight is number {
  return weight !== undefined && weight !== 0;
}
