import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import type { Device, DeviceRule, Spec } from "../../protocol/oci.ts";
import { withoutHostDevices } from "./host-devices.ts";

const VDA: Device = { path: "/dev/vda", type: "b", major: 254, minor: 0 };
const FUSE: Device = { path: "/dev/fuse", type: "c", major: 10, minor: 229 };
const LOOP: Device = { path: "/dev/loop9", type: "b", major: 7, minor: 9 };
const PIPE: Device = { path: "/run/pipe", type: "p" };
const RANDOM: Device = { path: "/dev/r", type: "u", major: 1, minor: 8 };
const DENY: DeviceRule = { allow: false, access: "rwm" };
const ALLOW: DeviceRule = { allow: true, access: "rwm" };

/** A host that has every device. */
const ALL = () => true;

function config(devices: Device[], rules: DeviceRule[] = [DENY]): Spec {
  return { ociVersion: "1.2.0", linux: { devices, resources: { devices: rules } } };
}

test("withoutHostDevices keeps what the guest provides itself", () => {
  const given = config([FUSE, LOOP, PIPE, RANDOM]);
  assert.deepEqual(withoutHostDevices(given, ALL), { config: given });
  assert.deepEqual(withoutHostDevices({ ociVersion: "1.2.0" }), { config: { ociVersion: "1.2.0" } });
});

test("withoutHostDevices refuses a device of the host by name", () => {
  const rule: DeviceRule = { allow: true, type: "b", major: 254, minor: 0, access: "rwm" };
  assert.throws(() => withoutHostDevices(config([FUSE, VDA], [DENY, rule]), ALL), {
    code: "CAISSON_E_CONFIG_UNSUPPORTED",
    field: "linux.devices[1]",
    message: /^linux\.devices\[1\]: "\/dev\/vda" \(b 254:0\) is a device of the host/,
  });
  assert.throws(() => withoutHostDevices(config([VDA], [ALLOW, DENY]), ALL), { field: "linux.devices[0]" });
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
