import assert from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { test } from "node:test";
import { Monitor } from "../../test/harness/qemu-monitor.ts";
import { plugDisk, unplugDisk } from "./disk-device.ts";
import { QmpError } from "./qmp.ts";

const backend = (fd: number) => ({ fd, readOnly: true, isDevice: false, sectorBytes: 512 });

test("plugDisk gives a disk on a descriptor, and unplugDisk takes all of it back", async () => {
  using monitor = new Monitor();
  const fd = openSync("/dev/null", "r");
  await plugDisk(monitor, 3, backend(fd));
  closeSync(fd);
  const [set, block, device] = monitor.commands.map((command) => command.arguments);
  assert.deepEqual(set, { "fdset-id": 19 });
  const { driver, filename, discard } = block ?? {};
  assert.deepEqual([driver, filename, block?.["read-only"], discard], ["file", "/dev/fdset/19", true, "ignore"]);
  assert.deepEqual([device?.["bus"], device?.["scsi-id"], device?.["drive"]], ["disks.0", 3, block?.["node-name"]]);
  await unplugDisk(monitor, 3, AbortSignal.timeout(10_000));
  assert.deepEqual(monitor.names.slice(3), ["device_del", "blockdev-del", "remove-fd"]);
});

test("plugDisk leaves nothing of a disk that QEMU refuses, and says why", async () => {
  const reasons: Record<string, string> = {
    "blockdev-add": "Could not open '/dev/fdset/19'",
    device_add: "Property 'scsi-hd.drive' can't find value 'disk3'",
    "blockdev-del": "Failed to find node with node-name='disk3'",
  };
  using monitor = new Monitor(({ execute }) => reasons[execute]);
  const fd = openSync("/dev/null", "r");
  await assert.rejects(plugDisk(monitor, 3, backend(fd)), (error) => {
    assert.ok(error instanceof QmpError);
    assert.match(error.message, /blockdev-add.*Could not open/);
    return true;
  });
  closeSync(fd);
  assert.deepEqual(monitor.names.slice(3), ["blockdev-del", "remove-fd"]);
});
