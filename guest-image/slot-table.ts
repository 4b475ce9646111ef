/**
 * An ACPI table (SSDT) that names a virtio-mmio slot of microvm which is empty when the guest boots. QEMU names only the slots that have a
 * device then; in the one named here a device can appear later. The kernel takes it from the initramfs
 * (Documentation/admin-guide/acpi/initrd_table_override.rst). Source of the encoding: ACPI specification, chapter 20 (AML).
 */

/** Where the kernel looks for it; the folders come first in the archive. */
export const SLOT_TABLE_PATH = "kernel/firmware/acpi/virtio-slot.aml";

/** The slot's number. Slot 0 is of no use: its interrupt, the first of the second I/O APIC, is taken for the timer's. */
const SLOT = 1;
/** The first address of a device of QEMU's microvm with ACPI and a second I/O APIC (include/hw/i386/microvm.h, hw/i386/microvm.c). */
const FIRST_ADDRESS = 0xfeb00000;
const SLOT_BYTES = 0x200;
const FIRST_INTERRUPT = 24;

/** The bytes of the table: the same on each call. */
export function slotTable(): Buffer {
  const scope = block([0x10], [...ascii("_SB_"), ...device()]);
  const header = Buffer.alloc(36);
  header.write("SSDT", 0);
  header.writeUInt32LE(header.length + scope.length, 4);
  header.writeUInt8(2, 8);
  header.write("CAISSN", 10);
  header.write("VIRTSLOT", 16);
  header.writeUInt32LE(1, 24);
  header.write("CSSN", 28);
  header.writeUInt32LE(1, 32);
  const table = Buffer.concat([header, Buffer.from(scope)]);
  table.writeUInt8(-table.reduce((sum, byte) => sum + byte, 0) & 0xff, 9);
  return table;
}

function device(): number[] {
  return block(
    [0x5b, 0x82],
    [
      ...ascii(`VF${String(SLOT).padStart(2, "0")}`),
      ...named("_HID", [0x0d, ...ascii("LNRO0005"), 0]),
      // Apart from those that QEMU gives to its own slots.
      ...named("_UID", [0x0a, 0x40 + SLOT]),
      ...named("_CCA", [0x01]),
      ...named("_CRS", resources()),
      ...status(),
    ],
  );
}

/** _STA: the device is there, unless there is a PCI bus: then the machine is no microvm, and something else is at the address. */
function status(): number[] {
  const hasPci = [0x5b, 0x12, ...ascii("\\"), 0x2e, ...ascii("_SB_PCI0"), 0];
  const absent = [0xa4, 0x00];
  const present = [0xa4, 0x0a, 0x0f];
  return block([0x14], [...ascii("_STA"), 0, ...block([0xa0], [...hasPci, ...absent]), ...present]);
}

/** A 32-bit fixed memory range and a level-triggered interrupt of its own, as QEMU describes its slots. */
function resources(): number[] {
  const list = [
    ...[0x86, 9, 0, 1, ...word(FIRST_ADDRESS + SLOT * SLOT_BYTES), ...word(SLOT_BYTES)],
    ...[0x89, 6, 0, 1, 1, ...word(FIRST_INTERRUPT + SLOT)],
    ...[0x79, 0],
  ];
  return block([0x11], [0x0a, list.length, ...list]);
}

function named(name: string, value: number[]): number[] {
  return [0x08, ...ascii(name), ...value];
}

/** An opcode, the length of all that follows it, and that. */
function block(opcode: number[], body: number[]): number[] {
  const short = body.length + 1;
  if (short <= 0x3f) return [...opcode, short, ...body];
  const length = body.length + 2;
  return [...opcode, 0x40 | (length & 0xf), length >> 4, ...body];
}

function ascii(text: string): number[] {
  return [...Buffer.from(text, "latin1")];
}

function word(value: number): number[] {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return [...bytes];
}
