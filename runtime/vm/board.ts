/** The board and its processors: what there is before any device. */
import { compareVersions, type QemuVersion } from "./qemu.ts";
import type { MachineType, VmSpec } from "./spec.ts";

/**
 * QEMU's buffer for translated code, which takes memory only as it fills: its default of 1 GiB would let one busy sandbox
 * grow by that much. A boot to the agent fills 120 MiB, and a full buffer is thrown away and translated anew.
 */
export const TRANSLATION_BUFFER_MIB = { boot: 256, clone: 128 } as const;

export function boardArguments({ qemu, machine, accelerator, mostVcpus }: VmSpec, isClone: boolean): string[] {
  const options = [
    machineType(machine, qemu.version),
    ...MACHINE_OPTIONS[machine],
    // Firmware leaves it ticking, which wakes QEMU 55 times a second; an emulated guest is told the rates (below).
    ...(accelerator === "tcg" ? ["pit=off"] : []),
    // Merging equal pages of different sandboxes (KSM) is a side channel between them.
    "mem-merge=off",
    "dump-guest-core=off",
    "memory-backend=ram",
  ];
  const emulated = accelerator === "tcg";
  return [
    "-machine",
    options.join(","),
    "-accel",
    emulated
      ? `tcg,thread=${threads(qemu.version, mostVcpus)},tb-size=${TRANSLATION_BUFFER_MIB[isClone ? "clone" : "boot"]}`
      : "kvm",
    "-cpu",
    // Not migrated between hosts, so whatever the accelerator has. An emulator's string instructions are its slowest: a turn for
    // each byte (ERMS and FSRM, "fast" ones) or word (rep_good, below).
    emulated ? "max,-erms,-fsrm" : "host",
    // All that there will be: microvm plugs none, and those that the guest has not put online sleep (kernelParameters()).
    "-smp",
    emulated ? `${mostVcpus},maxcpus=${Math.max(mostVcpus, MIN_EMULATED_CPUS)}` : String(mostVcpus),
    // virtio-mmio speaks the pre-1.0 protocol unless told otherwise; vsock has no such version.
    ...(machine === "microvm" ? ["-global", "virtio-mmio.force-legacy=false", ...MICROVM_FIRMWARE] : []),
  ];
}

/** QEMU's default is a build of SeaBIOS in some distributions, which boots no kernel without option ROMs; qboot does. */
export const MICROVM_FIRMWARE: readonly string[] = ["-bios", "qboot.rom"];

/** The same hardware whatever the QEMU, for as long as QEMU keeps it (six years, QEMU's "Deprecated features"); microvm has no versions. */
function machineType(machine: MachineType, version: QemuVersion): string {
  if (machine === "microvm") return machine;
  return compareVersions(version, [13, 0, 0]) < 0 ? "pc-q35-7.2" : machine;
}

/**
 * QEMU emulates the memory barriers and atomic instructions of a machine that can never have a second processor by plain loads and
 * stores (CF_PARALLEL in its accel/tcg), though its devices are other threads of the host: a ring's completion or kick can then go
 * untold, and whoever waits for it waits forever. Room for a second processor makes them real; it is never plugged.
 */
const MIN_EMULATED_CPUS = 2;

/**
 * QEMU before 8.1 translates code without a lock while another of the guest's processors, in a thread of its own, changes it,
 * and keeps what it read half-way. A kernel that patches itself then traps forever, and the guest hangs.
 */
function threads(version: QemuVersion, vcpus: number): "single" | "multi" {
  return vcpus > 1 && !translatesAtOnce(version) ? "single" : "multi";
}

/** Whether an emulated guest's CPUs can have a thread each. */
export function translatesAtOnce(version: QemuVersion): boolean {
  return compareVersions(version, [8, 1, 0]) >= 0;
}

/** Without what Linux never needs here: each device is memory, boot time and attack surface. */
const MACHINE_OPTIONS = {
  microvm: ["acpi=on", "isa-serial=on", "usb=off", "pcie=off", "x-option-roms=off"],
  q35: ["hpet=off", "sata=off", "smbus=off", "vmport=off", "i8042=off", "usb=off", "graphics=off"],
} as const;
