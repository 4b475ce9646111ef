import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Device } from "../../protocol/oci.ts";
import { vfioName } from "./vfio-devices.ts";

const sys = mkdtempSync(join(tmpdir(), "caisson-vfio-names-"));
after(() => rmSync(sys, { recursive: true }));

for (const [numbers, name] of [
  ["241:7", "vfio/7"],
  ["240:0", "vfio/devices/vfio0"],
  ["10:196", "vfio/vfio"],
  ["10:229", "fuse"],
] as const) {
  const folder = join(sys, "dev/char", numbers);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "uevent"), `MAJOR=${numbers.split(":")[0]}\nDEVNAME=${name}\nDEVMODE=0666\n`);
}

const device = (major: number, minor: number, more: Partial<Device> = {}): Device => ({
  path: "/dev/something",
  type: "c",
  major,
  minor,
  ...more,
});

test("vfioName knows VFIO's nodes by their numbers, whatever the container calls them", () => {
  assert.equal(vfioName(device(241, 7), sys), "vfio/7");
  assert.equal(vfioName(device(240, 0), sys), "vfio/devices/vfio0");
  assert.equal(vfioName(device(10, 196), sys), "vfio/vfio");
  assert.equal(vfioName(device(10, 229, { path: "/dev/vfio/7" }), sys), undefined);
  assert.equal(vfioName(device(241, 7, { type: "b" }), sys), undefined);
});

test("vfioName takes a path below /dev/vfio at its word where the host has no such device", () => {
  assert.equal(vfioName(device(241, 9, { path: "/dev/vfio/9" }), sys), "vfio/9");
  assert.equal(vfioName(device(241, 9), sys), undefined);
});
