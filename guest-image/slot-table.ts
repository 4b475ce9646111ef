/**
 * An ACPI table (SSDT) that names virtio-mmio slots of microvm which are empty when the guest boots. QEMU names only the slots that have a
 * device then; in those named here devices can appear later. The kernel takes it from the initramfs
 * (Documentation/admin-guide/acpi/initrd_table_override.rst).
 */
import {
  ascii,
  byte,
  device,
  method,
  named,
  ONE,
  resourceTemplate,
  returns,
  secondaryTable,
  text,
  whenTrue,
  word,
  ZERO,
} from "./aml.ts";

/** Where the kernel looks for it; the folders come first in the archive. */
export const SLOT_TABLE_PATH = "kernel/firmware/acpi/virtio-slot.aml";

/**
 * The slots' numbers: of the shared directory's device, and of network devices. Slot 0 is of no use: its interrupt, the first of the second I/O APIC,
 * is taken for the timer's. QEMU gives what it starts with the last slots.
 */
const SLOTS: readonly number[] = [1, 2, 3, 4, 5];
/** The first address of a device of QEMU's microvm with ACPI and a second I/O APIC (include/hw/i386/microvm.h, hw/i386/microvm.c). */
const FIRST_ADDRESS = 0xfeb00000;
const SLOT_BYTES = 0x200;
const FIRST_INTERRUPT = 24;

/** The bytes of the table: the same on each call. */
export function slotTable(): Buffer {
  return secondaryTable("VIRTSLOT", SLOTS.flatMap(slotDevice));
}

function slotDevice(slot: number): number[] {
  return device(`VF${String(slot).padStart(2, "0")}`, [
    ...named("_HID", text("LNRO0005")),
    // Apart from those that QEMU gives to its own slots.
    ...named("_UID", byte(0x40 + slot)),
    ...named("_CCA", [...ONE]),
    ...named("_CRS", resources(slot)),
    ...status(),
  ]);
}

/** _STA: the device is there, unless there is a PCI bus: then the machine is no microvm, and something else is at the address. */
function status(): number[] {
  const hasPci = [0x5b, 0x12, ...ascii("\\"), 0x2e, ...ascii("_SB_PCI0"), 0];
  return method("_STA", [...whenTrue(hasPci, returns([...ZERO])), ...returns(byte(0x0f))]);
}

/** A 32-bit fixed memory range and a level-triggered interrupt of its own, as QEMU describes its slots. */
function resources(slot: number): number[] {
  return resourceTemplate([
    ...[0x86, 9, 0, 1, ...word(FIRST_ADDRESS + slot * SLOT_BYTES), ...word(SLOT_BYTES)],
    ...[0x89, 6, 0, 1, 1, ...word(FIRST_INTERRUPT + slot)],
  ]);
}
