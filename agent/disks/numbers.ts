/** A container's block devices in the guest's numbers: the configuration has the host's. */
import type { BlockIoResources, DeviceRule, Resources, Spec } from "../../protocol/oci.ts";

/** What the configuration calls a disk, and what this guest does. */
export interface DiskNumbers {
  major: number;
  minor: number;
  guest: { major: number; minor: number };
}

/** The major number of the kernel's driver for SCSI disks (Documentation/admin-guide/devices.txt), which all disks of the guest's containers have. */
const SCSI_DISKS = new Set([8, 65, 66, 67, 68, 69, 70, 71, 128, 129, 130, 131, 132, 133, 134, 135]);
/** loop and nbd: the guest has its own under the same numbers as the host. */
const GUESTS_OWN = new Set([7, 43]);

/** The configuration with the guest's numbers of its disks. */
export function withGuestNumbers(config: Spec, disks: readonly DiskNumbers[]): Spec {
  const { linux } = config;
  if (linux === undefined) return config;
  const devices = linux.devices?.map((device) => {
    const disk = device.type === "b" ? find(disks, device) : undefined;
    return disk === undefined ? device : { ...device, ...disk.guest };
  });
  const resources = linux.resources && resourcesWithGuestNumbers(linux.resources, disks);
  return { ...config, linux: { ...linux, ...(devices && { devices }), ...(resources && { resources }) } };
}

/** The same for limits that are changed later. */
export function resourcesWithGuestNumbers(resources: Resources, disks: readonly DiskNumbers[]): Resources {
  const { devices, blockIO } = resources;
  return {
    ...resources,
    ...(devices && { devices: devices.flatMap((rule) => guestRules(rule, disks)) }),
    ...(blockIO && { blockIO: guestLimits(blockIO, disks) }),
  };
}

/**
 * What a rule means here. Numbers of SCSI disks are the host's: in the guest those are other containers' disks, so that a rule for them
 * is one for the container's own disks which have these numbers on the host, and for nothing else.
 */
function guestRules(rule: DeviceRule, disks: readonly DiskNumbers[]): DeviceRule[] {
  const { type = "a", major = -1, minor = -1 } = rule;
  if (type === "c" || major < 0) return [rule];
  const meant = disks.filter((disk) => disk.major === major && (minor < 0 || disk.minor === minor));
  const rules = meant.map(({ guest }): DeviceRule => ({ ...rule, type: "b", ...guest }));
  const isHosts = SCSI_DISKS.has(major) || (meant.length > 0 && !(GUESTS_OWN.has(major) && minor < 0));
  if (!isHosts) return [rule, ...rules];
  return type === "a" ? [{ ...rule, type: "c" }, ...rules] : rules;
}

const LIMITS = [
  "weightDevice",
  "throttleReadBpsDevice",
  "throttleWriteBpsDevice",
  "throttleReadIOPSDevice",
  "throttleWriteIOPSDevice",
] as const;

function guestLimits(limits: BlockIoResources, disks: readonly DiskNumbers[]): BlockIoResources {
  const changed: BlockIoResources = { ...limits };
  for (const name of LIMITS) {
    const list = limits[name];
    if (list !== undefined) changed[name] = list.map((each) => ({ ...each, ...find(disks, each)?.guest }));
  }
  return changed;
}

function find(
  disks: readonly DiskNumbers[],
  { major, minor }: { major?: number | undefined; minor?: number | undefined },
) {
  return disks.find((disk) => disk.major === major && disk.minor === minor);
}
