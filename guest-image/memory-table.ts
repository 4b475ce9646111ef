/**
 * An ACPI table (SSDT) with a memory device for each step by which a guest can grow (protocol/guest-memory.ts). None is there when the guest boots. Whoever
 * reads a device's `sun` in sysfs has its method _SUN run, which makes the device be there and notifies the kernel of it; this takes no
 * device of QEMU's, which microvm does not have for memory.
 */
import { MEMORY_STEPS, type MemoryStep, stepName } from "../protocol/guest-memory.ts";
import {
  ascii,
  byte,
  device,
  method,
  named,
  ONE,
  quadWord,
  resourceTemplate,
  returns,
  secondaryTable,
  whenTrue,
  ZERO,
} from "./aml.ts";

export const MEMORY_TABLE_PATH = "kernel/firmware/acpi/memory.aml";

/** EISAID("PNP0C80"): a memory device. */
const MEMORY_DEVICE = [0x0c, 0x41, 0xd0, 0x0c, 0x80];
const MIB = 1024n * 1024n;
/** Whether the device is there. */
const IS_THERE = "HERE";

/** The bytes of the table: the same on each call. */
export function memoryTable(): Buffer {
  return secondaryTable(
    "MEMSTEPS",
    MEMORY_STEPS.flatMap((step, index) => memoryDevice(step, index)),
  );
}

function memoryDevice(step: MemoryStep, index: number): number[] {
  const name = stepName(index);
  const store = [0x70, ...ONE, ...ascii(IS_THERE)];
  const notify = [0x86, ...ascii(name), ...ONE];
  return device(name, [
    ...named("_HID", MEMORY_DEVICE),
    ...named("_UID", byte(index)),
    ...named(IS_THERE, [...ZERO]),
    ...named("_CRS", resourceTemplate(range(step))),
    ...method("_STA", [...whenTrue(ascii(IS_THERE), returns(byte(0x0f))), ...returns([...ZERO])]),
    ...method("_SUN", [...store, ...notify, ...returns(byte(index))]),
  ]);
}

/** A range of memory (QWord Address Space Descriptor) between fixed bounds, which is written to and cached. */
function range({ startMib, sizeMib }: MemoryStep): number[] {
  const start = BigInt(startMib) * MIB;
  const length = BigInt(sizeMib) * MIB;
  const numbers = [0n, start, start + length - 1n, 0n, length];
  return [0x8a, 3 + 8 * numbers.length, 0, 0, 0x0c, 0x03, ...numbers.flatMap(quadWord)];
}
