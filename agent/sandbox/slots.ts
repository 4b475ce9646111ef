import { readFileSync } from "node:fs";

/** The driver of microvm's slots for devices: what is bound to it is looked for in its slot. */
export const SLOT_DRIVER = "/sys/bus/platform/drivers/virtio-mmio";

/** The name of the slot at this address of the guest's memory. Throws an Error when there is none. */
export function slotDevice(address: bigint): string {
  const line = readFileSync("/proc/iomem", "latin1")
    .split("\n")
    .find((each) => BigInt(`0x${/^\s*([0-9a-f]+)-/.exec(each)?.[1] ?? "0"}`) === address);
  const device = line?.split(" : ")[1];
  if (device === undefined) throw new Error(`there is no device at the address ${address.toString(16)}`);
  return device;
}
