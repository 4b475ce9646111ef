import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeviceRule, Spec } from "../../protocol/oci.ts";
import { resourcesWithGuestNumbers, withGuestNumbers } from "./numbers.ts";

const LOOP = { major: 7, minor: 4, guest: { major: 8, minor: 16 } };
const VOLUME = { major: 253, minor: 2, guest: { major: 8, minor: 0 } };
const DISKS = [LOOP, VOLUME];
const DENY: DeviceRule = { allow: false, access: "rwm" };

const rules = (devices: DeviceRule[], disks = DISKS) => resourcesWithGuestNumbers({ devices }, disks).devices;

test("withGuestNumbers changes the devices that are disks, and nothing else", () => {
  const fuse = { path: "/dev/fuse", type: "c" as const, major: 253, minor: 2 };
  const config: Spec = {
    ociVersion: "1.2.0",
    linux: { devices: [fuse, { path: "/dev/data", type: "b", major: 253, minor: 2, fileMode: 0o600 }] },
  };
  assert.deepEqual(withGuestNumbers(config, DISKS).linux?.devices, [
    fuse,
    { path: "/dev/data", type: "b", major: 8, minor: 0, fileMode: 0o600 },
  ]);
  assert.deepEqual(withGuestNumbers({ ociVersion: "1.2.0" }, DISKS), { ociVersion: "1.2.0" });
});

test("resourcesWithGuestNumbers lets a rule for a disk follow it, in its place", () => {
  const rule: DeviceRule = { allow: true, type: "b", major: 253, minor: 2, access: "r" };
  assert.deepEqual(rules([DENY, rule, DENY]), [DENY, { ...rule, major: 8, minor: 0 }, DENY]);
  // All minor numbers: those of the container's disks.
  assert.deepEqual(rules([{ allow: true, type: "b", major: 253 }]), [{ allow: true, type: "b", major: 8, minor: 0 }]);
  const both: DeviceRule = { allow: true, type: "a", major: 253, minor: -1, access: "rwm" };
  assert.deepEqual(rules([both]), [
    { ...both, type: "c" },
    { ...both, type: "b", major: 8, minor: 0 },
  ]);
});

test("resourcesWithGuestNumbers gives no container another one's disk by the host's numbers", () => {
  assert.deepEqual(rules([{ allow: true, type: "b", major: 8, minor: 0, access: "rwm" }], [LOOP]), []);
  assert.deepEqual(rules([{ allow: true, type: "b", major: 8, access: "rwm" }], []), []);
});

test("resourcesWithGuestNumbers keeps rules for what the guest has itself", () => {
  const all: DeviceRule = { allow: true, access: "rwm" };
  const terminals: DeviceRule = { allow: true, type: "c", major: 136 };
  const loops: DeviceRule = { allow: true, type: "b", major: 7, access: "rwm" };
  assert.deepEqual(rules([all, terminals]), [all, terminals]);
  assert.deepEqual(rules([loops]), [loops, { ...loops, major: 8, minor: 16 }]);
  assert.deepEqual(rules([loops], []), [loops]);
});

test("resourcesWithGuestNumbers changes the devices of blockIO limits", () => {
  const limit = { major: 253, minor: 2, rate: 1024 };
  const { blockIO } = resourcesWithGuestNumbers({ blockIO: { weight: 10, throttleWriteBpsDevice: [limit] } }, DISKS);
  assert.deepEqual(blockIO, { weight: 10, throttleWriteBpsDevice: [{ major: 8, minor: 0, rate: 1024 }] });
});
