import { STREAM_PORTS } from "../../protocol/guest-contract.ts";
import type { UidRange } from "./jail/uids.ts";
import type { Qemu } from "./qemu.ts";

export type MachineType = "microvm" | "q35";
export type Accelerator = "kvm" | "tcg";
export type Transport = "vsock" | "virtio-serial";

/** A network device on a tap that the host opened. Its address and MTU are set in the guest: those of a template are its own. */
export interface NetworkDevice {
  /** Descriptor of the open tap, with offload headers; the caller keeps and closes its own copy. */
  tapFd: number;
  /** An open /dev/vhost-net, by which the host's kernel moves the packets and not QEMU. */
  vhostFd?: number | undefined;
}

/** Stands for a network device where only their number counts: a template is made with taps of its own. */
export const ANY_TAP: NetworkDevice = { tapFd: -1 };

/** The address that network device number `index`, from 0, begins with: by it the guest's interfaces are told apart. */
export function initialMac(index: number): string {
  return `02:ca:15:00:${[index >> 8, index & 0xff].map((byte) => byte.toString(16).padStart(2, "0")).join(":")}`;
}

/** A PCI function of the host's that a VM is given (VFIO). */
export interface PciFunction {
  /** As sysfs names it: 0000:3b:00.0. */
  address: string;
  /** Its folder in sysfs, without symbolic links. */
  folder: string;
  /** The name of its IOMMU group's node in /dev/vfio. */
  group: string;
}

/** A VM. A template is keyed by all of it but the last group. */
export interface VmSpec {
  qemu: Qemu;
  machine: MachineType;
  /** What works here, as `chooseAccelerator` found it; never "auto". */
  accelerator: Accelerator;
  /** What the guest boots with: a ceiling, untouched memory costs the host nothing. */
  memoryMib: number;
  /** What the guest may come to have while it runs; no more than `memoryMib`: it stays at that (memory-layout.ts). */
  ceilingMib: number;
  vcpus: number;
  /** The CPUs that the guest can put online, `vcpus` or more. */
  mostVcpus: number;
  kernel: string;
  initrd: string;
  /** The read-only root file system (erofs). */
  image: string;
  /** Appended to the parameters this layer sets itself; a later parameter wins. */
  kernelParams: readonly string[];
  transport: Transport;
  /** Rate of the time stamp counter, from `tscKhz`; needed with tcg. */
  tscKhz?: number;

  networks: readonly NetworkDevice[];
  /** The host's, for q35. They reach all of its memory, which is therefore pinned, and neither cloned nor given back. */
  passed: readonly PciFunction[];
  /** The users, of which each QEMU is another one. */
  users: UidRange;
  /** The guest's serial console is kept here, its last part only (bounded). */
  consoleLog: string;
}

/** Called at the end of each phase of a start with its name; `--trace` is built on it. */
export type Trace = (phase: string) => void;

/** The virtio-fs tag of the shared directory. */
export const SHARE_TAG = "caisson-share";
/** The name of the character device by which the copies of a VM have their shared directory. */
export const COPIES_SHARE_ID = "copies";
/** QEMU's name of the device that lets others be added later. */
export const HOTPLUG_ID = "slots";
/** The name of the SCSI bus to which disks are added: on q35 the port has no bus for them. */
export const DISK_BUS_ID = { microvm: HOTPLUG_ID, q35: "disks" } as const;
/** How many network devices a VM can get beside those that it is started with. */
export const ADDED_NETWORKS = 4;
/** The first of the slots for them: of microvm's virtio-mmio, and the name of q35's ports without a number. */
const NETWORK_SLOT = { microvm: 2, q35: "network-slot" } as const;
/** What a microvm has its virtio-mmio slots in: their first address and the length of each. */
const SLOTS = { address: 0xfeb00000, bytes: 0x200 } as const;

/** The bus that added device number `slot`, from 0, is plugged into. */
export function networkBus(machine: MachineType, slot: number): string {
  return machine === "microvm" ? `virtio-mmio-bus.${NETWORK_SLOT.microvm + slot}` : `${NETWORK_SLOT.q35}${slot}`;
}

/** Where the guest has to look for it (protocol/agent.proto); 0 where it finds it by itself. */
export function networkSlotAddress(machine: MachineType, slot: number): number {
  return machine === "microvm" ? SLOTS.address + (NETWORK_SLOT.microvm + slot) * SLOTS.bytes : 0;
}

/** Where in the guest's memory a microvm has the slot of the shared directory's device (guest-image/slot-table.ts). */
export const SHARE_SLOT_ADDRESS = 0xfeb00200;

/** Whether the guest's free memory can be the host's again: not where devices of the host's may write to it. */
export function givesBack({ passed }: Pick<VmSpec, "passed">): boolean {
  return passed.length === 0;
}

/** How many serial ports it has for standard streams. */
export function streamPortsOf({ transport }: Pick<VmSpec, "transport">): number {
  return transport === "virtio-serial" ? STREAM_PORTS : 0;
}

/**
 * Whether such a VM can be forked. What the host's kernel has a part in (KVM, vhost) belongs to one process for good; and only
 * where code is translated is there much to be had.
 */
export function canFork({ accelerator, transport }: Pick<VmSpec, "accelerator" | "transport">): boolean {
  return accelerator === "tcg" && transport === "virtio-serial";
}
