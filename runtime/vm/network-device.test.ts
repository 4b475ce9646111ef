import assert from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { test } from "node:test";
import { Monitor } from "../../test/harness/qemu-monitor.ts";
import { plugNetwork, unplugNetwork } from "./network-device.ts";
import { QmpError } from "./qmp.ts";

const within = () => AbortSignal.timeout(10_000);

test("plugNetwork gives a device on a tap, in a slot of the machine's, and unplugNetwork takes both back", async () => {
  for (const [machine, driver, bus] of [
    ["microvm", "virtio-net-device", "virtio-mmio-bus.3"],
    ["q35", "virtio-net-pci", "network-slot1"],
  ] as const) {
    using monitor = new Monitor(undefined, machine);
    const tapFd = openSync("/dev/null", "r+");
    await plugNetwork(monitor, 2, 1, { tapFd }, within());
    closeSync(tapFd);
    const of = (name: string) => monitor.commands.find(({ execute }) => execute === name)?.arguments ?? {};
    assert.deepEqual(of("netdev_add"), { type: "tap", id: "tap2", fd: "tap2" });
    const device = of("device_add");
    assert.deepEqual([device["driver"], device["bus"], device["mac"]], [driver, bus, "02:ca:15:00:00:02"]);
    assert.equal(monitor.names.includes("qom-set"), machine === "microvm");
    const before = monitor.names.length;
    await unplugNetwork(monitor, 2, within());
    assert.deepEqual(monitor.names.slice(before), ["device_del", "netdev_del"]);
  }
});

test("plugNetwork has the host's kernel behind the tap where it is given it", async () => {
  using monitor = new Monitor();
  const tapFd = openSync("/dev/null", "r+");
  await plugNetwork(monitor, 2, 0, { tapFd, vhostFd: tapFd }, within());
  closeSync(tapFd);
  const added = monitor.commands.find(({ execute }) => execute === "netdev_add")?.arguments;
  assert.deepEqual(added, { type: "tap", id: "tap2", fd: "tap2", vhost: true, vhostfd: "vhost2" });
});

test("plugNetwork leaves nothing of a device that QEMU refuses, and says why", async () => {
  const reasons: Record<string, string> = { device_add: "Bus 'network-slot0' not found" };
  using monitor = new Monitor(({ execute }) => reasons[execute]);
  const tapFd = openSync("/dev/null", "r+");
  await assert.rejects(plugNetwork(monitor, 2, 0, { tapFd }, within()), (error) => {
    assert.ok(error instanceof QmpError);
    assert.match(error.message, /device_add.*network-slot0/);
    return true;
  });
  closeSync(tapFd);
  assert.equal(monitor.names.at(-1), "netdev_del");
});
