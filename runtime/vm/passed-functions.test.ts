import assert from "node:assert/strict";
import { test } from "node:test";
import { passedAccess, passedArguments, passedPort } from "./passed-functions.ts";
import type { PciFunction } from "./spec.ts";

const make = (address: string, group: string): PciFunction => ({
  address,
  folder: `/sys/devices/pci0000:3a/${address}`,
  group,
});
const PASSED = [make("0000:3b:00.0", "7"), make("0000:3b:00.1", "7"), make("0000:5e:00.0", "9")];

test("passedArguments puts each function into a port of its own, whose address the guest is told", () => {
  assert.deepEqual(passedArguments({ passed: PASSED.slice(0, 2) }), [
    "-device",
    "pcie-root-port,id=passed0,chassis=16,slot=16,addr=10.0,multifunction=on",
    "-device",
    "vfio-pci,sysfsdev=/sys/devices/pci0000:3a/0000:3b:00.0,bus=passed0,rombar=0",
    "-device",
    "pcie-root-port,id=passed1,chassis=17,slot=17,addr=10.1,multifunction=on",
    "-device",
    "vfio-pci,sysfsdev=/sys/devices/pci0000:3a/0000:3b:00.1,bus=passed1,rombar=0",
  ]);
  assert.deepEqual([0, 7, 8, 15].map(passedPort), ["0000:00:10.0", "0000:00:10.7", "0000:00:11.0", "0000:00:11.7"]);
});

test("passedAccess lets QEMU have the groups' nodes, and lock the guest's memory", () => {
  assert.deepEqual(passedAccess(PASSED, 512), {
    files: PASSED.map(({ folder }) => folder),
    devices: ["/dev/vfio/vfio", "/dev/vfio/7", "/dev/vfio/9"],
    lockedMemoryBytes: 576 * 1024 * 1024,
  });
  assert.deepEqual(passedAccess([], 512), { files: [], devices: [], lockedMemoryBytes: undefined });
});
