/**
 * The virtio-fs device by which the guest has the shared directory. A VM cannot be saved with one, so templates and fork
 * servers are without: each VM gets it from QEMU's monitor, before it runs.
 */
import { closeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { socketpair } from "../../native/posix/index.ts";
import { type ExecuteOptions, type QmpClient, QmpError } from "./qmp.ts";
import type { ShareLink } from "./share-link.ts";
import { COPIES_SHARE_ID, HOTPLUG_ID, type MachineType, SHARE_TAG } from "./spec.ts";

/** The name of the device, of its character device, and of the descriptor until the character device has it. */
const ID = "share";
/** The slot that the guest's ACPI table names (guest-image/slot-table.ts). */
const SLOT = "virtio-mmio-bus.1";
/** The kernel splits what it writes into pages: with fewer entries a request of 1 MiB would not fit. */
const QUEUE_SIZE = 1024;
const RELEASE_LIMIT_MS = 2000;
const RELEASE_POLL_MS = 10;

/** What QEMU is told by to have the device, and to be without it again. */
export interface SharePlug {
  qmp: QmpClient;
  machine: MachineType;
  /** Without it QEMU and the server meet directly, and the server has all of the VM's memory, which must be a shared mapping then. */
  link?: ShareLink | undefined;
}

/**
 * Writes QEMU all that gives the VM the device; takes the server's connection over.
 * @returns the commands' answers, in order: whoever writes further commands need not wait for them. @throws the system's error.
 */
export function plugShare(
  { qmp, machine, link }: SharePlug,
  connection: number,
  within: ExecuteOptions,
): Promise<unknown>[] {
  using descriptors = new DisposableStack();
  descriptors.adopt(connection, closeSync);
  const qemus = link === undefined ? connection : throughLink(link, connection, descriptors);
  const backend = { type: "socket", data: { addr: { type: "fd", data: { str: ID } }, server: false } };
  return [
    qmp.passDescriptor(ID, qemus, within),
    qmp.execute("chardev-add", { id: ID, backend }, within),
    ...(machine === "microvm" ? [letSlotBePlugged(qmp, within)] : []),
    qmp.execute("device_add", deviceProperties(machine), within),
  ];
}

/**
 * The same for a copy of a VM that has had the device before, so that its slot can be plugged, and whose character device is connected to a
 * socket of the copy's own. QEMU reads what it is told a byte at a time, each a turn of several threads: a fork is told no more than it must.
 */
export function plugForked({ qmp, machine }: SharePlug, within: ExecuteOptions): Promise<unknown> {
  return qmp.execute("device_add", deviceProperties(machine, COPIES_SHARE_ID), within);
}

/** @returns QEMU's end of the connection. */
function throughLink(link: ShareLink, server: number, descriptors: DisposableStack): number {
  const [proxys, qemus] = socketpair();
  descriptors.adopt(proxys, closeSync);
  descriptors.adopt(qemus, closeSync);
  link.join(proxys, server);
  return qemus;
}

/** microvm's slots have nobody who looks after what is plugged into them; a SCSI bus leaves it to the device itself. */
function letSlotBePlugged(qmp: QmpClient, within: ExecuteOptions): Promise<unknown> {
  const handler = { property: "hotplug-handler", value: `/machine/peripheral/${HOTPLUG_ID}/${HOTPLUG_ID}.0` };
  return qmp.execute("qom-set", { path: SLOT, ...handler }, within);
}

function deviceProperties(machine: MachineType, chardev = ID): Record<string, unknown> {
  const device = { id: ID, chardev, tag: SHARE_TAG, "queue-size": QUEUE_SIZE };
  return machine === "microvm"
    ? { driver: "vhost-user-fs-device", bus: SLOT, ...device }
    : { driver: "vhost-user-fs-pci", bus: HOTPLUG_ID, ...device };
}

/** Takes the device, which the guest has let go, from a VM that runs. @throws QmpError when QEMU refuses, or the signal's reason. */
export async function unplugShare({ qmp }: Pick<SharePlug, "qmp">, signal: AbortSignal): Promise<void> {
  const gone = qmp.nextEvent(({ name, data }) => name === "DEVICE_DELETED" && data["device"] === ID, signal);
  gone.catch(() => {});
  await qmp.execute("device_del", { id: ID }, { signal });
  await gone;
  // QEMU lets go of the character device a moment later.
  for (let waitedMs = 0; ; waitedMs += RELEASE_POLL_MS) {
    try {
      await qmp.execute("chardev-remove", { id: ID }, { signal });
      return;
    } catch (error) {
      if (!(error instanceof QmpError) || waitedMs >= RELEASE_LIMIT_MS) throw error;
    }
    await sleep(RELEASE_POLL_MS, undefined, { signal });
  }
}
