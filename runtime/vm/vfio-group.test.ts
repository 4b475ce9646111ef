import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, test } from "node:test";
import { readFunctions } from "./vfio-group.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-vfio-"));
after(() => rmSync(folder, { recursive: true }));
const NODE = { name: "vfio/7", major: 241, minor: 7, field: "linux.devices[1]" };

interface Fake {
  group: string;
  driver?: string;
  class?: string;
}

/** A sysfs with these functions, and the node by which groups are opened. */
function makeHost(functions: Record<string, Fake>, { vfio = true } = {}) {
  const root = mkdtempSync(join(folder, "host-"));
  const sys = join(root, "sys");
  mkdirSync(join(sys, "kernel/iommu_groups"), { recursive: true });
  if (vfio) writeFileSync(join(root, "vfio"), "");
  for (const [address, { group, driver, class: code = "0x010802" }] of Object.entries(functions)) {
    const own = join(sys, "devices/pci0000:00", address);
    const devices = join(sys, "kernel/iommu_groups", group, "devices");
    for (const each of [own, devices]) mkdirSync(each, { recursive: true });
    writeFileSync(join(own, "class"), `${code}\n`);
    symlinkSync(own, join(devices, address));
    symlinkSync(join(sys, "kernel/iommu_groups", group), join(own, "iommu_group"));
    if (driver === undefined) continue;
    const drivers = join(sys, "bus/pci/drivers", driver);
    mkdirSync(drivers, { recursive: true });
    symlinkSync(drivers, join(own, "driver"));
  }
  return { sys, vfio: join(root, "vfio") };
}

const BOUND: Fake = { group: "7", driver: "vfio-pci" };
const addresses = (functions: readonly { address: string }[]) => functions.map(({ address }) => address);

test("readFunctions has all functions of a group, but not the bridges above them", () => {
  const host = makeHost({
    "0000:3b:00.0": BOUND,
    "0000:3b:00.1": { ...BOUND, driver: "mlx5_vfio_pci", class: "0x020000" },
    "0000:3a:01.0": { group: "7", driver: "pcieport", class: "0x060400" },
    "0000:00:04.0": { group: "3", driver: "nvme" },
  });
  const found = readFunctions(NODE, host);
  assert.deepEqual(addresses(found), ["0000:3b:00.0", "0000:3b:00.1"]);
  assert.deepEqual(found[0], {
    address: "0000:3b:00.0",
    folder: join(host.sys, "devices/pci0000:00/0000:3b:00.0"),
    group: "7",
  });
});

test("readFunctions has the one function that a node of its own stands for", () => {
  const host = makeHost({ "0000:3b:00.0": BOUND, "0000:3b:00.1": BOUND });
  const own = join(host.sys, "devices/pci0000:00/0000:3b:00.1/vfio-dev/vfio4");
  mkdirSync(own, { recursive: true });
  mkdirSync(join(host.sys, "dev/char"), { recursive: true });
  symlinkSync(own, join(host.sys, "dev/char/240:4"));
  const found = readFunctions({ ...NODE, name: "vfio/devices/vfio4", major: 240, minor: 4 }, host);
  assert.deepEqual(
    found.map(({ folder: each, group }) => [basename(each), group]),
    [["0000:3b:00.1", "7"]],
  );
});

for (const [what, functions, node, message, options] of [
  ["a host without an IOMMU", {}, {}, /: \/dev\/vfio\/7 cannot be passed to the VM: the host has no IOMMU$/],
  ["a host without VFIO", { "0000:00:04.0": BOUND }, {}, /the host has no .*vfio$/, { vfio: false }],
  ["a group without an IOMMU", { "0000:00:04.0": BOUND }, { name: "vfio/noiommu-0" }, /all of the host's memory$/],
  ["a group that is not there", { "0000:00:04.0": BOUND }, { name: "vfio/8" }, /no such IOMMU group$/],
  ["a name that is none of a group", { "0000:00:04.0": BOUND }, { name: "vfio/../7" }, /no such IOMMU group$/],
  ["a node of a function that is not there", { "0000:00:04.0": BOUND }, { name: "vfio/devices/vfio9" }, /no such/],
  [
    "a function with a driver of the host's",
    { "0000:00:04.0": BOUND, "0000:00:04.1": { group: "7", driver: "nvme" } },
    {},
    /0000:00:04\.1 in its IOMMU group has the driver nvme, not vfio-pci$/,
  ],
  [
    "a function without a driver",
    { "0000:00:04.0": { group: "7" } },
    {},
    /0000:00:04\.0 .* has no driver, not vfio-pci$/,
  ],
  ["what is no PCI function", { "83b8f4f2-509f-382f": BOUND }, {}, /83b8f4f2-509f-382f .* is no PCI function$/],
  ["bridges alone", { "0000:00:01.0": { ...BOUND, class: "0x060400" } }, {}, /there is no function/],
] as const) {
  test(`readFunctions refuses ${what} by name`, () => {
    assert.throws(() => readFunctions({ ...NODE, ...node }, makeHost(functions, options)), {
      code: "CAISSON_E_HOST",
      field: "linux.devices[1]",
      message,
    });
  });
}
