/** Which of `linux.devices` a guest can have: a device is a number to a kernel, and the guest's kernel is not the host's. */
import { existsSync } from "node:fs";
import { CaissonError } from "../../protocol/errors.ts";
import type { Device, DeviceRule, Spec } from "../../protocol/oci.ts";

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
  // loop*, nbd*
  { type: "b", major: 7 },
  { type: "b", major: 43 },
];

/** Whether this host has the device of these numbers, which need not have a name in /dev. Without sysfs all count as such. */
function isOnHost({ type, major, minor }: Device): boolean {
  const folder = `/sys/dev/${type === "b" ? "block" : "char"}`;
  return !existsSync(folder) || existsSync(`${folder}/${major}:${minor}`);
}

/**
 * The configuration without the host's devices. Numbers that this host has no device of stand for nothing of it. Where the container may use every device (`--privileged`), engines list all
 * that the host has: these are left out, and `warning` says which.
 * @throws CaissonError CAISSON_E_CONFIG_UNSUPPORTED that names a device of the host which the container was to have.
 */
export function withoutHostDevices(config: Spec, onHost = isOnHost): { config: Spec; warning?: string } {
  const devices = config.linux?.devices ?? [];
  const missing = devices.filter((device) => !isVirtual(device) && onHost(device));
  const [first] = missing;
  if (first === undefined) return { config };
  if (!mayUseAll(config.linux?.resources?.devices ?? [])) throw refusal(first, devices.indexOf(first));
  const kept = devices.filter((device) => !missing.includes(device));
  const paths = missing.map(({ path }) => path).join(", ");
  const warning = `linux.devices: the VM has no devices of the host, so these are left out: ${paths}`;
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
  return new CaissonError(
    "CAISSON_E_CONFIG_UNSUPPORTED",
    `${field}: ${what} is a device of the host, and the VM has none of them`,
    {
      field,
      remedy: "Remove the device; docs/spec-conformance.md lists those that the guest provides.",
    },
  );
}
