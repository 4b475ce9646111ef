import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import type { Device, DeviceRule, Spec } from "../../protocol/oci.ts";
import { disksOf, type HostDevices, withoutHostDevices } from "./host-devices.ts";

const MEM: Device = { path: "/dev/mem", type: "c", major: 1, minor: 1 };
const VDA: Device = { path: "/dev/vda", type: "b", major: 254, minor: 0 };
const FUSE: Device = { path: "/dev/fuse", type: "c", major: 10, minor: 229 };
const LOOP: Device = { path: "/dev/loop9", type: "b", major: 7, minor: 9 };
const PIPE: Device = { path: "/run/pipe", type: "p" };
const RANDOM: Device = { path: "/dev/r", type: "u", major: 1, minor: 8 };
const DENY: DeviceRule = { allow: false, access: "rwm" };
const ALLOW: DeviceRule = { allow: true, access: "rwm" };

/** Has whatever there may be, under its usual name; what has a medium is to be seen by its number. */
const ALL: HostDevices = {
  has: () => true,
  isDisk: ({ type, major }) => type === "b" && major === 254,
  vfioName: ({ type, major, minor }) => (type === "c" && major === 241 ? `vfio/${minor}` : undefined),
  hasAtPath: ({ path }) => path !== "/dev/xvda",
};

function config(devices: Device[], rules: DeviceRule[] = [DENY]): Spec {
  return { ociVersion: "1.2.0", linux: { devices, resources: { devices: rules } } };
}

test("withoutHostDevices keeps what the guest provides itself", () => {
  const given = config([FUSE, LOOP, PIPE, RANDOM]);
  assert.deepEqual(withoutHostDevices(given, ALL), { config: given });
  assert.deepEqual(withoutHostDevices({ ociVersion: "1.2.0" }), { config: { ociVersion: "1.2.0" } });
});

test("withoutHostDevices refuses a device of the host by name", () => {
  const rule: DeviceRule = { allow: true, type: "c", major: 1, minor: 1, access: "rwm" };
  assert.throws(() => withoutHostDevices(config([FUSE, MEM], [DENY, rule]), ALL), {
    code: "CAISSON_E_CONFIG_UNSUPPORTED",
    field: "linux.devices[1]",
    message: /^linux\.devices\[1\]: "\/dev\/mem" \(c 1:1\) is a device of the host/,
  });
  assert.throws(() => withoutHostDevices(config([MEM], [ALLOW, DENY]), ALL), { field: "linux.devices[0]" });
  const empty: Device = { path: "/dev/sr0", type: "b", major: 11, minor: 0 };
  assert.throws(() => withoutHostDevices(config([empty]), ALL), { message: /\(b 11:0\) is a block device without a/ });
});

test("withoutHostDevices keeps disks, which the VM is given", () => {
  const given = config([VDA, FUSE]);
  assert.deepEqual(withoutHostDevices(given, ALL), { config: given });
  assert.deepEqual(disksOf(given, ALL), [VDA]);
});

test("withoutHostDevices keeps the disk that a privileged container has under a name of its own", () => {
  const own = { ...VDA, path: "/dev/xvda" };
  const given = config([VDA, own, MEM], [ALLOW]);
  assert.deepEqual(withoutHostDevices(given, ALL).config.linux?.devices, [own]);
  assert.deepEqual(disksOf(given, ALL), [own]);
});

test("withoutHostDevices leaves the host's devices out where all are allowed, and says which", () => {
  const result = withoutHostDevices(config([VDA, FUSE], [DENY, ALLOW]), ALL);
  assert.deepEqual(result.config.linux?.devices, [FUSE]);
  assert.match(result.warning ?? "", /left out: \/dev\/vda$/);
});

test("withoutHostDevices tells by the numbers what this host has", { skip: !existsSync("/sys/dev/char") }, () => {
  const odd = config([{ path: "/dev/test", type: "c", major: 10, minor: 6666 }]);
  assert.deepEqual(withoutHostDevices(odd), { config: odd });
  const own = { path: "/dev/any", type: "c" as const, major: 5, minor: 1 };
  assert.throws(() => withoutHostDevices(config([own])), { field: "linux.devices[0]" });
});
