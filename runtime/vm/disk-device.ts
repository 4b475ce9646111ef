/** Disks that a VM gets while it runs: SCSI disks of QEMU's, each on a descriptor that we have opened. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Machine } from "./machine.ts";
import { QmpError } from "./qmp.ts";
import { DISK_BUS_ID } from "./spec.ts";

/** Targets of the bus; the kernel looks for no more (VIRTIO_SCSI_MAX_TARGET). */
export const DISK_TARGETS = 255;
/** Sets of descriptors with lower numbers are the command line's. */
const FIRST_SET = 16;
const RELEASE_LIMIT_MS = 10_000;
const RELEASE_POLL_MS = 10;

export interface DiskBackend {
  /** The caller's, who may close it then. */
  fd: number;
  readOnly: boolean;
  /** Whether it is a block device, or a file. */
  isDevice: boolean;
  sectorBytes: number;
}

type Vm = Pick<Machine, "qmp" | "machine">;

/** Gives the VM a disk as that target of its SCSI bus. @throws QmpError when QEMU refuses, with nothing left; the signal's reason. */
export async function plugDisk(vm: Vm, target: number, backend: DiskBackend, signal?: AbortSignal): Promise<void> {
  const { qmp } = vm;
  const within = signal === undefined ? {} : { signal };
  const set = FIRST_SET + target;
  const done = await Promise.allSettled([
    qmp.addDescriptor(set, backend.fd, within),
    qmp.execute("blockdev-add", blockProperties(target, set, backend), within),
    qmp.execute("device_add", deviceProperties(vm, target, backend), within),
  ]);
  const failed = done.find(({ status }) => status === "rejected") as PromiseRejectedResult | undefined;
  if (failed === undefined) return;
  await release(vm, target, within).catch(() => {});
  throw failed.reason;
}

/** Takes it away again, whether or not the guest has let it go. @throws QmpError, the signal's reason. */
export async function unplugDisk(vm: Vm, target: number, signal: AbortSignal): Promise<void> {
  const { qmp } = vm;
  const id = idOf(target);
  const gone = qmp.nextEvent(({ name, data }) => name === "DEVICE_DELETED" && data["device"] === id, signal);
  gone.catch(() => {});
  await qmp.execute("device_del", { id }, { signal });
  await gone;
  await release(vm, target, { signal });
}

/** QEMU lets go of what a device was on a moment after the device has gone. */
async function release({ qmp }: Vm, target: number, within: { signal?: AbortSignal }): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += RELEASE_POLL_MS) {
    try {
      await qmp.execute("blockdev-del", { "node-name": idOf(target) }, within);
      break;
    } catch (error) {
      const isThere = error instanceof QmpError && !/find/i.test(error.message);
      if (!(error instanceof QmpError)) throw error;
      if (!isThere) break;
      if (waitedMs >= RELEASE_LIMIT_MS) throw error;
    }
    await sleep(RELEASE_POLL_MS);
  }
  await qmp.execute("remove-fd", { "fdset-id": FIRST_SET + target }, within);
}

function idOf(target: number): string {
  return `disk${target}`;
}

/**
 * What the guest discards stays on the host: it may have been somebody else's before. A device is read and written without the host's page
 * cache, where another reader would find something older. The format is told: a guest's first bytes must not choose one.
 */
function blockProperties(target: number, set: number, { readOnly, isDevice }: DiskBackend): Record<string, unknown> {
  return {
    driver: isDevice ? "host_device" : "file",
    "node-name": idOf(target),
    filename: `/dev/fdset/${set}`,
    "read-only": readOnly,
    "auto-read-only": false,
    discard: "ignore",
    cache: { direct: isDevice, "no-flush": false },
    aio: "threads",
    // Programs that use images as QEMU does see that it is in use.
    locking: isDevice ? "off" : "auto",
  };
}

/** The guest hears of errors, a full disk included: by default QEMU would stop it then. */
function deviceProperties({ machine }: Vm, target: number, { sectorBytes }: DiskBackend): Record<string, unknown> {
  return {
    driver: "scsi-hd",
    id: idOf(target),
    bus: `${DISK_BUS_ID[machine]}.0`,
    channel: 0,
    "scsi-id": target,
    lun: 0,
    drive: idOf(target),
    logical_block_size: sectorBytes,
    physical_block_size: sectorBytes,
    discard_granularity: 0,
    rerror: "report",
    werror: "report",
  };
}
