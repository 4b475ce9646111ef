import type { Qemu } from "./qemu.ts";

export type MachineType = "microvm" | "q35";
export type Accelerator = "kvm" | "tcg";
export type Transport = "vsock" | "virtio-serial";

/** A network interface of the guest on a tap that the host opened and configured. */
export interface NetworkDevice {
  /** Descriptor of the open tap queue; the caller keeps and closes its own copy. */
  tapFd: number;
  /** Six hex octets with colons. */
  mac: string;
  /** Bytes, 68 to 65535. */
  mtu: number;
}

/** One VM. What a template is keyed by is all of it but the last group. */
export interface VmSpec {
  qemu: Qemu;
  machine: MachineType;
  /** What works here, as `chooseAccelerator` found it; never "auto". */
  accelerator: Accelerator;
  /** Guest RAM: a ceiling, untouched memory costs the host nothing. */
  memoryMib: number;
  vcpus: number;
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
  /** Exported as 9p with the tag `caisson-share`. */
  shareDirectory: string;
  /** The guest's serial console is kept here, its last part only (bounded). */
  consoleLog: string;
  /** Path of the network namespace QEMU runs in, e.g. /run/netns/x or /proc/1/ns/net; ours when absent. */
  netnsPath?: string;
}

/** Called at the end of each phase of a start with its name; `--trace` is built on it. */
export type Trace = (phase: string) => void;

/** The serial port's name in the guest (/sys/class/virtio-ports/<port>/name) and the tag of the shared directory. */
export const AGENT_PORT_NAME = "org.caisson.agent.0";
export const SHARE_TAG = "caisson-share";
/** AF_VSOCK port of the agent. */
export const AGENT_VSOCK_PORT = 1024;
