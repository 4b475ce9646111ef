import assert from "node:assert/strict";
import { test } from "node:test";
import type { Device, DeviceRule, Spec } from "../../protocol/oci.ts";
import type { DeviceNode } from "./nodes.ts";
import { resourcesWithPassedNodes, withPassedNodes } from "./numbers.ts";

const CONTROLLER: DeviceNode = { path: "/dev/nvme0", type: "c", major: 245, minor: 0 };
const DISK: DeviceNode = { path: "/dev/nvme0n1", type: "b", major: 259, minor: 0 };
const CARD: DeviceNode = { path: "/dev/dri/card0", type: "c", major: 226, minor: 0 };
/** A group of two functions, one without a driver, and another group. */
const PASSED = [
  { major: 241, minor: 7, nodes: [CONTROLLER, DISK] },
  { major: 241, minor: 7, nodes: [] },
  { major: 241, minor: 9, nodes: [CARD] },
];
const DENY: DeviceRule = { allow: false, access: "rwm" };

const rules = (devices: DeviceRule[]) => resourcesWithPassedNodes({ devices }, PASSED).devices;

test("withPassedNodes puts a function's nodes in the place of its group, with the mode and owner asked for", () => {
  const group: Device = { path: "/dev/vfio/7", type: "c", major: 241, minor: 7, fileMode: 0o660, uid: 0, gid: 100 };
  const fuse: Device = { path: "/dev/fuse", type: "c", major: 10, minor: 229 };
  const config: Spec = { ociVersion: "1.2.0", linux: { devices: [fuse, group] } };
  const owner = { fileMode: 0o660, uid: 0, gid: 100 };
  assert.deepEqual(withPassedNodes(config, PASSED).linux?.devices, [
    fuse,
    { ...CONTROLLER, ...owner },
    { ...DISK, ...owner },
  ]);
  assert.equal(withPassedNodes(config, []), config);
});

test("resourcesWithPassedNodes lets a rule for a group follow its functions, in its place", () => {
  const rule: DeviceRule = { allow: true, type: "c", major: 241, minor: 7, access: "rw" };
  assert.deepEqual(rules([DENY, rule, DENY]), [
    DENY,
    { allow: true, type: "c", major: 245, minor: 0, access: "rw" },
    { allow: true, type: "b", major: 259, minor: 0, access: "rw" },
    DENY,
  ]);
  assert.equal(rules([{ ...rule, minor: -1 }])?.length, 3);
  assert.deepEqual(rules([{ ...rule, type: "a", minor: 9 }]), [
    { ...rule, type: "b", minor: 9 },
    { ...rule, major: 226, minor: 0 },
  ]);
});

test("resourcesWithPassedNodes keeps rules for what is not passed", () => {
  const others: DeviceRule[] = [
    DENY,
    { allow: true, type: "c", major: 241, minor: 8 },
    { allow: true, type: "b", major: 241 },
  ];
  assert.deepEqual(rules(others), others);
});
