/** PCI functions of the host's in a VM: each in a port of its own, by whose address the guest finds it. */
import type { PciFunction, VmSpec } from "./spec.ts";

/** As many as have ports in the two slots that are kept for them. */
export const MOST_PASSED = 16;
/** The first of the slots: QEMU counts up from 1 for the other devices. */
const FIRST_SLOT = 0x10;
const PORTS_IN_SLOT = 8;
/** Beside the guest's memory QEMU maps its firmware for the devices. */
const FIRMWARE_MIB = 64;

/** The node by which all groups are opened. */
export const VFIO = "/dev/vfio/vfio";

/** The PCI address in the guest of the port that has function number `index`, from 0. */
export function passedPort(index: number): string {
  const { slot, port } = placeOf(index);
  return `0000:00:${slot.toString(16)}.${port}`;
}

/** QEMU's arguments for them. */
export function passedArguments({ passed }: Pick<VmSpec, "passed">): string[] {
  return passed.flatMap(({ folder }, index) => {
    const { slot, port } = placeOf(index);
    const number = FIRST_SLOT + index;
    const place = `addr=${slot.toString(16)}.${port},multifunction=on`;
    return [
      ...["-device", `pcie-root-port,id=passed${index},chassis=${number},slot=${number},${place}`],
      // The firmware runs no program of the device's: nothing is booted from it.
      ...["-device", `vfio-pci,sysfsdev=${folder},bus=passed${index},rombar=0`],
    ];
  });
}

/** What QEMU has to have in its jail for them. */
export function passedAccess(passed: readonly PciFunction[], ramMib: number) {
  if (passed.length === 0) return { files: [], devices: [], lockedMemoryBytes: undefined };
  const groups = new Set(passed.map(({ group }) => `/dev/vfio/${group}`));
  return {
    files: passed.map(({ folder }) => folder),
    devices: [VFIO, ...groups],
    lockedMemoryBytes: (ramMib + FIRMWARE_MIB) * 1024 * 1024,
  };
}

function placeOf(index: number): { slot: number; port: number } {
  return { slot: FIRST_SLOT + Math.floor(index / PORTS_IN_SLOT), port: index % PORTS_IN_SLOT };
}
