/** Which of `linux.devices` are nodes of VFIO (Documentation/driver-api/vfio.rst): a group of the host's PCI functions, or one of them. */
import { readFileSync } from "node:fs";
import type { Device } from "../../protocol/oci.ts";

/** The node that is no device, by which groups are opened: tools list it beside them. */
export const VFIO_CONTAINER = "vfio/vfio";
const FOLDER = "/dev/vfio/";

/**
 * What /dev has of VFIO for these numbers on the host, "vfio/7", or for a device that the host has not, at the path that is asked for.
 * @returns undefined for another device. @param sys where sysfs is.
 */
export function vfioName({ path, type, major, minor }: Device, sys = "/sys"): string | undefined {
  if (type !== "c" && type !== "u") return undefined;
  const found = deviceName(`${sys}/dev/char/${major}:${minor}`);
  if (found !== undefined) return found.startsWith("vfio/") ? found : undefined;
  return path.startsWith(FOLDER) ? path.slice("/dev/".length) : undefined;
}

/** DEVNAME of a folder of sysfs. */
function deviceName(folder: string): string | undefined {
  try {
    return /^DEVNAME=(.+)$/m.exec(readFileSync(`${folder}/uevent`, "latin1"))?.[1];
  } catch {
    return undefined;
  }
}
