/** Which of `linux.devices` a guest can have: a device is a number to a kernel, and the guest's kernel is not the host's. */
import { existsSync, lstatSync, readFileSync } from "node:fs";
import { CaissonError } from "../../protocol/errors.ts";
import type { Device, DeviceRule, Spec } from "../../protocol/oci.ts";
import { VFIO_CONTAINER, vfioName } from "./vfio-devices.ts";

/**
 * Devices that every Linux kernel has under the same number and that stand for nothing of a machine's own
 * (Documentation/admin-guide/devices.txt): the guest's kernel provides them. Without minor numbers: all of them.
 */
const VIRTUAL: readonly { type: "c" | "b"; major: number; minors?: readonly number[] }[] = [
  // null, zero, full, random, urandom, kmsg (of the guest's kernel)
  { type: "c", major: 1, minors: [3, 5, 7, 8, 9, 11] },
  // tty, ptmx
  { type: "c", major: 5, minors: [0, 2] },
  { type: "c", major: 136 },
  // net/tun, cuse, fuse, btrfs-control, autofs, mapper/control, loop-control
  { type: "c", major: 10, minors: [200, 203, 229, 234, 235, 236, 237] },
  // ppp
  { type: "c", major: 108, minors: [0] },
  // loop*, nbd*: those that the host uses are disks
  { type: "b", major: 7 },
  { type: "b", major: 43 },
];

/** What is asked about a device of this host; a test has another one. */
export interface HostDevices {
  /** Whether there is one of these numbers, which need not have a name in /dev. Without sysfs all count as such. */
  has(device: Device): boolean;
  /** Whether it is a block device with something on it. */
  isDisk(device: Device): boolean;
  /** What VFIO calls it (vfioName()). */
  vfioName(device: Device): string | undefined;
  /** Whether the host has it at the path that the container is to have it at. */
  hasAtPath(device: Device): boolean;
}

const HOST: HostDevices = {
  has: ({ type, major, minor }) => {
    const folder = `/sys/dev/${type === "b" ? "block" : "char"}`;
    return !existsSync(folder) || existsSync(`${folder}/${major}:${minor}`);
  },
  isDisk: ({ type, major = 0, minor = 0 }) => type === "b" && diskSectors(major, minor) > 0,
  vfioName: (device) => vfioName(device),
  hasAtPath: ({ path, type, major = 0, minor = 0 }) => {
    const found = lstatSync(path, { throwIfNoEntry: false, bigint: true });
    const isSame = type === "b" ? found?.isBlockDevice() : found?.isCharacterDevice();
    return isSame === true && found !== undefined && sameNumbers(found.rdev, { major, minor });
  },
};

/** The size of a block device of the host, in units of 512 bytes; 0 when there is none, or nothing in it. */
export function diskSectors(major: number, minor: number): number {
  try {
    return Number(readFileSync(`/sys/dev/block/${major}:${minor}/size`, "latin1"));
  } catch {
    return 0;
  }
}

/** makedev(3). */
export function numbersOf(device: bigint): { major: number; minor: number } {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
  const minor = (device & 0xffn) | ((device >> 12n) & ~0xffn & 0xffffffffn);
  return { major: Number(major), minor: Number(minor) };
}

export function sameNumbers(device: bigint, { major, minor }: { major: number; minor: number }): boolean {
  const numbers = numbersOf(device);
  return numbers.major === major && numbers.minor === minor;
}

/** The devices of a configuration that are disks of the host's which the VM is to be given. */
export function disksOf({ linux }: Spec, host = HOST): Device[] {
  const mayUse = mayUseAll(linux?.resources?.devices ?? []);
  return (linux?.devices ?? []).filter((device) => host.isDisk(device) && !(mayUse && host.hasAtPath(device)));
}

/** The devices of a configuration by which the VM is to be given PCI functions of the host's, and VFIO's own node beside them. */
export function vfioOf({ linux }: Spec, host = HOST): { device: Device; name: string }[] {
  const mayUse = mayUseAll(linux?.resources?.devices ?? []);
  const found = (linux?.devices ?? []).flatMap((device) => {
    const name = host.vfioName(device);
    return name === undefined || (mayUse && host.hasAtPath(device)) ? [] : [{ device, name }];
  });
  return found.some(({ name }) => name !== VFIO_CONTAINER) ? found : [];
}

/**
 * The configuration without those of the host's devices that the VM cannot have, which are all but disks and VFIO's. Numbers that this host has
 * no device of stand for nothing of it. Where the container may use every device (`--privileged`), engines list all that the host has,
 * under the host's names: these are left out, disks as well, and `warning` says which.
 * @throws CaissonError CAISSON_E_CONFIG_UNSUPPORTED that names a device of the host which the container was to have.
 */
export function withoutHostDevices(config: Spec, host = HOST): { config: Spec; warning?: string } {
  const devices = config.linux?.devices ?? [];
  const mayUse = mayUseAll(config.linux?.resources?.devices ?? []);
  const passed = vfioOf(config, host).map(({ device }) => device);
  const given = [...disksOf(config, host), ...passed];
  const missing = devices.filter((device) => !given.includes(device) && !isVirtual(device) && host.has(device));
  const [first] = missing;
  if (first === undefined) return { config };
  if (!mayUse) throw refusal(first, devices.indexOf(first));
  const kept = devices.filter((device) => !missing.includes(device));
  const paths = missing.map(({ path }) => path).join(", ");
  const warning = `linux.devices: a privileged container has no devices of the host, so these are left out: ${paths}`;
  return { config: { ...config, linux: { ...config.linux, devices: kept } }, warning };
}

function isVirtual({ type, major, minor }: Device): boolean {
  if (type === "p") return true;
  const kind = type === "u" ? "c" : type;
  return VIRTUAL.some(
    (each) => each.type === kind && each.major === major && (each.minors?.includes(minor ?? -1) ?? true),
  );
}

/** The last rule for all devices decides. */
function mayUseAll(rules: readonly DeviceRule[]): boolean {
  const general = rules.filter(({ type = "a", major = -1, minor = -1 }) => type === "a" && major < 0 && minor < 0);
  return general.at(-1)?.allow ?? false;
}

function refusal({ path, type, major, minor }: Device, index: number): CaissonError {
  const field = `linux.devices[${index}]`;
  const what = `${JSON.stringify(path)} (${type} ${major}:${minor})`;
  const why =
    type === "b"
      ? "a block device without a medium"
      : "a device of the host, and of those the VM can have disks and what is bound to vfio-pci";
  return new CaissonError("CAISSON_E_CONFIG_UNSUPPORTED", `${field}: ${what} is ${why}`, {
    field,
    remedy: "Remove the device; docs/spec-conformance.md lists those that the guest provides.",
  });
}
