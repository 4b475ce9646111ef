/** Network devices that a VM gets while it runs, each on a tap that we have opened. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Machine } from "./machine.ts";
import { type ExecuteOptions, QmpError } from "./qmp.ts";
import { HOTPLUG_ID, initialMac, type NetworkDevice, networkBus } from "./spec.ts";

const RELEASE_LIMIT_MS = 10_000;
const RELEASE_POLL_MS = 10;

type Vm = Pick<Machine, "qmp" | "machine">;

/**
 * Gives the VM the network device of that number, in a slot for such, from 0.
 * @throws QmpError when QEMU refuses, with nothing left; the signal's reason.
 */
export async function plugNetwork(
  vm: Vm,
  device: number,
  slot: number,
  { tapFd, vhostFd }: NetworkDevice,
  signal: AbortSignal,
): Promise<void> {
  const { qmp } = vm;
  const within = { signal };
  const tap = tapOf(device);
  const vhost = `vhost${device}`;
  const done = await Promise.allSettled([
    qmp.passDescriptor(tap, tapFd, within),
    ...(vhostFd === undefined ? [] : [qmp.passDescriptor(vhost, vhostFd, within)]),
    qmp.execute(
      "netdev_add",
      { type: "tap", id: tap, fd: tap, ...(vhostFd === undefined ? {} : { vhost: true, vhostfd: vhost }) },
      within,
    ),
    ...(vm.machine === "microvm" ? [letSlotBePlugged(vm, slot, within)] : []),
    qmp.execute("device_add", deviceProperties(vm, device, slot), within),
  ]);
  const failed = done.find(({ status }) => status === "rejected") as PromiseRejectedResult | undefined;
  if (failed === undefined) return;
  await release(vm, device, within).catch(() => {});
  throw failed.reason;
}

/** Takes it away again; the guest has let it go. @throws QmpError, the signal's reason. */
export async function unplugNetwork(vm: Vm, device: number, signal: AbortSignal): Promise<void> {
  const { qmp } = vm;
  const id = idOf(device);
  const gone = qmp.nextEvent(({ name, data }) => name === "DEVICE_DELETED" && data["device"] === id, signal);
  gone.catch(() => {});
  await qmp.execute("device_del", { id }, { signal });
  await gone;
  await release(vm, device, { signal });
}

/** QEMU lets go of what a device was on a moment after the device has gone. */
async function release({ qmp }: Vm, device: number, within: ExecuteOptions): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += RELEASE_POLL_MS) {
    try {
      await qmp.execute("netdev_del", { id: tapOf(device) }, within);
      return;
    } catch (error) {
      if (!(error instanceof QmpError) || waitedMs >= RELEASE_LIMIT_MS) throw error;
      if (/find/i.test(error.message)) return;
    }
    await sleep(RELEASE_POLL_MS);
  }
}

/** As for the shared directory (share-device.ts): a slot of microvm's has nobody who looks after what is plugged into it. */
function letSlotBePlugged({ qmp, machine }: Vm, slot: number, within: ExecuteOptions): Promise<unknown> {
  const handler = { property: "hotplug-handler", value: `/machine/peripheral/${HOTPLUG_ID}/${HOTPLUG_ID}.0` };
  return qmp.execute("qom-set", { path: networkBus(machine, slot), ...handler }, within);
}

function deviceProperties({ machine }: Vm, device: number, slot: number): Record<string, unknown> {
  const properties = {
    id: idOf(device),
    netdev: tapOf(device),
    mac: initialMac(device),
    bus: networkBus(machine, slot),
    guest_announce: false,
  };
  return machine === "microvm"
    ? { driver: "virtio-net-device", ...properties }
    : { driver: "virtio-net-pci", ...properties, romfile: "", "disable-legacy": "on" };
}

function idOf(device: number): string {
  return `net${device}`;
}

function tapOf(device: number): string {
  return `tap${device}`;
}
