import { AGENT_PORT_NAME, streamPortName } from "../../protocol/guest-contract.ts";
import { boardArguments } from "./board.ts";
import { kernelParameters } from "./kernel-parameters.ts";
import { memoryLayout } from "./memory-layout.ts";
import { passedArguments } from "./passed-functions.ts";
import { compareVersions, type QemuVersion } from "./qemu.ts";
import { stateArguments } from "./saved-state.ts";
import {
  ADDED_NETWORKS,
  COPIES_SHARE_ID,
  DISK_BUS_ID,
  givesBack,
  HOTPLUG_ID,
  initialMac,
  type NetworkDevice,
  networkBus,
  type VmSpec,
} from "./spec.ts";

/** The descriptors, numbers and paths of one run: QEMU inherits the descriptors under these numbers. */
export interface Wiring {
  /** Our stream socket for QMP. */
  qmpFd: number;
  /** Our stream socket that takes what the guest writes to its serial console. */
  consoleFd: number;
  /** The root image, opened read-only. */
  imageFd: number;
  /** /dev/urandom. */
  randomFd: number;
  agent:
    | { kind: "virtio-serial"; fd: number }
    /** QEMU listens, and takes one connection after another. */
    | { kind: "virtio-serial-listener"; fd: number }
    | { kind: "vsock"; vhostFd: number; cid: number };
  /** Our stream sockets for the ports that carry standard streams; none with vsock. */
  streamFds: readonly number[];
  /** Of a VM that is to be forked: our stream socket, in whose place each copy has one of its own, to what serves the shared directory. */
  copiesShareFd?: number;
  /** Starts with its processors stopped, for whoever has something to do to it first. */
  stopped: boolean;
  /**
   * Where guest RAM lives: `anonymous` for a VM of its own; `template` in a file that later clones map; `clone` in a
   * private, copy-on-write mapping of such a file. Files are descriptors, so that a removed template does no harm.
   */
  memory: { kind: "anonymous" } | { kind: "template"; fd: number } | { kind: "clone"; fd: number; stateFd: number };
  /** The open descriptors of each of `spec.networks`, in its order. */
  networks: readonly NetworkDevice[];
}

/**
 * QEMU's arguments for a VM. Everything that shapes guest-visible state is here and in board.ts alone: a clone must have the
 * devices of its template, in the same order.
 */
export function commandLine(spec: VmSpec, wiring: Wiring): string[] {
  return [
    ...PROCESS,
    ...boardArguments(spec, wiring.memory.kind === "clone"),
    ...memoryArguments(spec, wiring),
    ...kernelArguments(spec, wiring),
    ...monitorArguments(wiring),
    ...consoleArguments(wiring),
    ...rootArguments(spec, wiring),
    ...agentArguments(spec, wiring),
    ...wiring.streamFds.flatMap(streamPortArguments),
    ...copiesShareArguments(wiring),
    ...hotplugArguments(spec),
    ...randomArguments(spec, wiring),
    ...balloonArguments(spec),
    ...passedArguments(spec),
    ...wiring.networks.flatMap((network, index) => networkArguments(spec, network, index)),
    ...(wiring.stopped ? ["-S"] : []),
  ];
}

const PROCESS: readonly string[] = [
  "-nodefaults",
  "-no-user-config",
  "-display",
  "none",
  // A guest that reboots (a panic does, see panic=-1) ends QEMU in place of starting over unnoticed.
  "-no-reboot",
  "-sandbox",
  "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
];

/** From it on QEMU leaves a private mapping out of what it tells the shared directory's device (seen with 11.1; 10.0 does not). */
const TELLS_SHARED_ONLY: QemuVersion = [10, 1, 0];

function memoryArguments(spec: VmSpec, { memory }: Wiring): string[] {
  const { ramMib } = memoryLayout(spec);
  const size = ["-m", `${ramMib}M`];
  // A descriptor of its own, too, or QEMU would leave it out of what it tells the shared directory's device.
  if (memory.kind === "anonymous") return [...size, "-object", `memory-backend-memfd,id=ram,size=${ramMib}M,share=on`];
  // A clone's is a private mapping in any case: native/template-memory.
  const isShared = memory.kind === "template" || compareVersions(spec.qemu.version, TELLS_SHARED_ONLY) >= 0;
  return [
    ...size,
    "-object",
    // No `discard-data`. What a clone's guest gives back is a hole in its own mapping, not in the file (native/template-memory), which QEMU opens for
    // reading only: for the same reason it is not told `readonly=on`, with which it gives nothing back.
    `memory-backend-file,id=ram,size=${ramMib}M,mem-path=/proc/self/fd/${memory.fd},prealloc=off,share=${isShared ? "on" : "off"}`,
  ];
}

/** A clone has its kernel in memory already: loading it again would cost each clone its size. */
function kernelArguments(spec: VmSpec, wiring: Wiring): string[] {
  const { memory } = wiring;
  if (memory.kind === "clone") return [...stateArguments(spec.qemu.version, memory.stateFd), "-incoming", "defer"];
  const parameters = kernelParameters(spec, memory.kind === "template");
  return ["-kernel", spec.kernel, "-initrd", spec.initrd, "-append", parameters.join(" ")];
}

function monitorArguments({ qmpFd }: Wiring): string[] {
  return ["-chardev", `socket,id=qmp,fd=${qmpFd}`, "-mon", "chardev=qmp,mode=control"];
}

function consoleArguments({ consoleFd }: Wiring): string[] {
  return ["-chardev", `socket,id=console,fd=${consoleFd}`, "-serial", "chardev:console"];
}

function rootArguments(spec: VmSpec, { imageFd }: Wiring): string[] {
  return [
    "-add-fd",
    `fd=${imageFd},set=1`,
    "-blockdev",
    // Every VM has the file open and none writes: there is nothing to lock.
    "driver=file,node-name=root,filename=/dev/fdset/1,read-only=on,auto-read-only=off,locking=off",
    "-device",
    virtio(spec, "blk", "drive=root,id=root"),
  ];
}

function agentArguments(spec: VmSpec, { agent, streamFds }: Wiring): string[] {
  if (agent.kind === "vsock") {
    return [
      "-device",
      `vhost-vsock-${suffix(spec)},id=agent,guest-cid=${agent.cid},vhostfd=${agent.vhostFd}${modern(spec)}`,
    ];
  }
  return [
    "-chardev",
    `socket,id=agent,fd=${agent.fd}${agent.kind === "virtio-serial" ? "" : ",server=on,wait=off"}`,
    "-device",
    virtio(spec, "serial", `id=serial,max_ports=${2 + streamFds.length}${eventIndices(spec)}`),
    "-device",
    `virtserialport,bus=serial.0,nr=1,chardev=agent,name=${AGENT_PORT_NAME}`,
  ];
}

/** Port 0 is kept for a console, and the agent has the next one. */
function streamPortArguments(fd: number, index: number): string[] {
  const number = index + 1;
  return [
    "-chardev",
    `socket,id=stream${number},fd=${fd}`,
    "-device",
    `virtserialport,bus=serial.0,nr=${1 + number},chardev=stream${number},name=${streamPortName(number)}`,
  ];
}

function copiesShareArguments({ copiesShareFd }: Wiring): string[] {
  return copiesShareFd === undefined ? [] : ["-chardev", `socket,id=${COPIES_SHARE_ID},fd=${copiesShareFd}`];
}

/**
 * Without event indices both sides tell each other of every message. With them they leave that out while the other side is at work, which is
 * safe only where the guest's memory barriers are real: those of processors that share a thread of QEMU (`threads` in board.ts) are not.
 */
function eventIndices({ accelerator }: VmSpec): string {
  return accelerator === "tcg" ? ",event_idx=off" : "";
}

/**
 * What lets devices be added: a SCSI bus for disks (disk-device.ts), and for the shared directory's (share-device.ts) a port on q35, and on
 * microvm the SCSI bus as well.
 */
function hotplugArguments(spec: VmSpec): string[] {
  const bus = ["-device", virtio(spec, "scsi", `id=${DISK_BUS_ID[spec.machine]}`)];
  if (spec.machine === "microvm") return bus;
  const ports = Array.from({ length: ADDED_NETWORKS }, (_, slot) => [
    "-device",
    `pcie-root-port,id=${networkBus("q35", slot)},chassis=${2 + slot},slot=${2 + slot}`,
  ]);
  return ["-device", `pcie-root-port,id=${HOTPLUG_ID},chassis=1,slot=1`, ...ports.flat(), ...bus];
}

/** The host's own, and not QEMU's generator: copies of one QEMU would have its numbers in common. */
function randomArguments(spec: VmSpec, { randomFd }: Wiring): string[] {
  return [
    ...["-add-fd", `fd=${randomFd},set=2`, "-object", "rng-random,id=rng,filename=/dev/fdset/2"],
    ...["-device", virtio(spec, "rng", "id=rng,rng=rng")],
  ];
}

/** By it the guest tells which of its memory is free, which the host then has back; it is never inflated. */
function balloonArguments(spec: VmSpec): string[] {
  if (!givesBack(spec)) return [];
  return ["-device", virtio(spec, "balloon", "id=balloon,free-page-reporting=on")];
}

/** A clone's guest does not announce itself: it would do so under the template's address. */
function networkArguments(spec: VmSpec, { tapFd, vhostFd }: NetworkDevice, index: number): string[] {
  const vhost = vhostFd === undefined ? "" : `,vhost=on,vhostfd=${vhostFd}`;
  const device = `id=net${index},netdev=tap${index},mac=${initialMac(index)},guest_announce=off`;
  return [
    "-netdev",
    `tap,id=tap${index},fd=${tapFd}${vhost}`,
    "-device",
    // The option ROM is for booting from the network.
    virtio(spec, "net", spec.machine === "q35" ? `${device},romfile=` : device),
  ];
}

function virtio(spec: VmSpec, name: string, properties: string): string {
  return `virtio-${name}-${suffix(spec)},${properties}${modern(spec)}`;
}

function suffix({ machine }: VmSpec): string {
  return machine === "microvm" ? "device" : "pci";
}

function modern({ machine }: VmSpec): string {
  return machine === "microvm" ? "" : ",disable-legacy=on";
}
