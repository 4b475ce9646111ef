import assert from "node:assert/strict";
import { test } from "node:test";
import type { Device, Spec } from "../../../protocol/oci.ts";
import { functionsOf, type PassedSources, takePassed } from "./passed-devices.ts";

const GROUP: Device = { path: "/dev/vfio/7", type: "c", major: 241, minor: 7, fileMode: 0o660, uid: 0, gid: 100 };
const OTHER: Device = { ...GROUP, path: "/dev/vfio/9", minor: 9 };
const VFIO: Device = { path: "/dev/vfio/vfio", type: "c", major: 10, minor: 196 };
const FUSE: Device = { path: "/dev/fuse", type: "c", major: 10, minor: 229 };

const spec = (devices: Device[]): Spec => ({ ociVersion: "1.2.0", linux: { devices } });
const pci = (address: string, group: string) => ({ address, folder: `/sys/devices/${address}`, group });
const FUNCTIONS: Record<string, ReturnType<typeof pci>[]> = {
  "vfio/7": [pci("0000:3b:00.0", "7"), pci("0000:3b:00.1", "7")],
  "vfio/9": [pci("0000:5e:00.0", "9")],
};
const HOST: PassedSources = {
  nodes: ({ linux }) =>
    (linux?.devices ?? [])
      .filter(({ path }) => path.startsWith("/dev/vfio/"))
      .map((device) => ({ device, name: device.path.slice("/dev/".length) })),
  functions: ({ name, field }) => {
    assert.match(field, /^linux\.devices\[\d\]$/);
    return FUNCTIONS[name] ?? [];
  },
};

test("functionsOf has each function of the named groups once", () => {
  const found = functionsOf(spec([VFIO, GROUP, FUSE, OTHER, GROUP]), HOST);
  assert.deepEqual(
    found.map(({ address }) => address),
    ["0000:3b:00.0", "0000:3b:00.1", "0000:5e:00.0"],
  );
  assert.deepEqual(functionsOf(spec([FUSE]), HOST), []);
});

test("functionsOf refuses more functions than a VM can have, by name", () => {
  const many = Array.from({ length: 17 }, (_, index) => pci(`0000:3b:${index.toString(16)}.0`, "7"));
  assert.throws(() => functionsOf(spec([FUSE, GROUP]), { ...HOST, functions: () => many }), {
    code: "CAISSON_E_CONFIG_UNSUPPORTED",
    field: "linux.devices[1]",
    message: /a VM can have 16 PCI functions of the host's, and these are 17$/,
  });
});

test("takePassed tells the guest which port has what the configuration names, and leaves VFIO's own node out", () => {
  const passed = functionsOf(spec([GROUP, OTHER]), HOST);
  const taken = takePassed(spec([VFIO, FUSE, OTHER, GROUP]), passed, HOST);
  assert.deepEqual(taken.spec.linux?.devices, [FUSE, OTHER, GROUP]);
  assert.deepEqual(taken.passedDevices, [
    { port: "0000:00:10.2", name: "0000:5e:00.0", major: 241, minor: 9 },
    { port: "0000:00:10.0", name: "0000:3b:00.0", major: 241, minor: 7 },
    { port: "0000:00:10.1", name: "0000:3b:00.1", major: 241, minor: 7 },
  ]);
  const none = spec([FUSE]);
  assert.deepEqual(takePassed(none, [], HOST), { spec: none, passedDevices: [] });
});

test("takePassed refuses by name what the VM was started without", () => {
  assert.throws(() => takePassed(spec([FUSE, GROUP]), [], HOST), {
    code: "CAISSON_E_CONFIG_UNSUPPORTED",
    field: "linux.devices[1]",
    message: /^linux\.devices\[1\]: \/dev\/vfio\/7 cannot be passed to a VM that runs: .* 0000:3b:00\.0$/,
  });
});
