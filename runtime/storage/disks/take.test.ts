import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { DeviceRule, Mount, Spec } from "../../../protocol/oci.ts";
import { LoopDevice } from "../../../test/harness/loop-device.ts";
import { giveBack } from "../../oci/set-aside.ts";
import { isDiskRootfs } from "./kinds.ts";
import { takeDisks } from "./take.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-disks-"));
const image = join(folder, "image");
writeFileSync(image, "");
truncateSync(image, 1024 * 1024);
after(() => rmSync(folder, { recursive: true }));
const loops = { skip: !LoopDevice.canBe() && "needs loop devices" };

const spec = (mounts: Mount[], rules: DeviceRule[] = []): Spec => ({
  ociVersion: "1.2.0",
  mounts,
  linux: { resources: { devices: rules } },
});
const take = (config: Spec) => takeDisks(config, { id: "one", directory: folder });

test("takeDisks leaves a configuration without disks as it is", () => {
  const config = spec([
    { destination: "/proc", type: "proc", source: "proc" },
    { destination: "/a", type: "bind", source: folder, options: ["rbind"] },
    { destination: "/b", type: "bind", source: join(folder, "none"), options: ["bind"] },
  ]);
  const taken = take(config);
  assert.equal(taken.spec, config);
  assert.deepEqual([taken.disks, taken.fileSystems], [[], []]);
});

test("takeDisks has the file system of an image mounted by the guest, and its mount bound", () => {
  const options = ["loop", "ro", "nosuid", "noatime", "rprivate", "errors=continue"];
  const {
    spec: config,
    disks,
    fileSystems,
  } = take(
    spec([
      { destination: "/tmp", type: "tmpfs", source: "tmpfs" },
      { destination: "/data", type: "ext4", source: "image", options },
    ]),
  );
  assert.deepEqual(disks, [
    { path: image, name: image, field: "mounts[1].source", readOnly: true, image: true, major: 0, minor: 1 },
  ]);
  const [{ flags = 0, ...fileSystem } = {}] = fileSystems;
  assert.deepEqual(fileSystem, {
    disk: disks[0],
    devices: [],
    type: "ext4",
    data: "errors=continue",
    path: "/run/caisson/disks/one~1",
    field: "mounts[1]",
  });
  // MS_RDONLY, MS_NOSUID, MS_NOATIME
  assert.equal(flags, 0x403);
  assert.deepEqual(giveBack(config).mounts?.[1], {
    destination: "/data",
    type: "bind",
    source: "/run/caisson/disks/one~1",
    options: ["bind", "ro", "nosuid", "noatime", "rprivate"],
  });
});

test("takeDisks has the further devices of an erofs, which the guest names", () => {
  const layers = ["one.erofs", "two.erofs"].map((name) => join(folder, name));
  for (const layer of layers) writeFileSync(layer, "x".repeat(512));
  const options = ["loop", "device=one.erofs", `device=${layers[1]}`, "cache_strategy=disabled"];
  const { disks, fileSystems } = take(spec([{ destination: "/layers", type: "erofs", source: "image", options }]));
  assert.deepEqual(
    disks.map(({ path, readOnly }) => ({ path, readOnly })),
    [image, ...layers].map((path) => ({ path, readOnly: true })),
  );
  const [{ disk, devices, data } = {}] = fileSystems;
  assert.deepEqual([disk, devices, data], [disks[0], disks.slice(1), "cache_strategy=disabled"]);
  const absent = ["loop", "device=none"];
  assert.throws(() => take(spec([{ destination: "/l", type: "erofs", source: "image", options: absent }])), {
    code: "CAISSON_E_STORAGE",
    message: /^mounts\[0\]\.options: there is no .*none/,
  });
});

test('takeDisks makes a file that is bound with "loop" a device with a rule of its own', () => {
  const { spec: config, disks } = take(
    spec([{ destination: "/dev/x", type: "bind", source: image, options: ["bind", "loop", "ro"] }]),
  );
  assert.deepEqual(
    disks.map(({ readOnly, image: isImage }) => [readOnly, isImage]),
    [[true, true]],
  );
  const [device] = config.linux?.devices ?? [];
  assert.deepEqual([device?.path, device?.type, device?.major, device?.minor], ["/dev/x", "b", 0, 1]);
  assert.deepEqual(config.linux?.resources?.devices, [{ allow: true, type: "b", major: 0, minor: 1, access: "rm" }]);
  assert.deepEqual(
    config.mounts?.map(({ type }) => type),
    ["caisson-disk"],
  );
});

test("takeDisks has an image once, and writable if one of its uses is", () => {
  const { disks } = take(
    spec([
      { destination: "/a", type: "ext4", source: image, options: ["loop", "ro"] },
      { destination: "/b", type: "bind", source: image, options: ["bind", "loop"] },
    ]),
  );
  assert.deepEqual(
    disks.map(({ readOnly }) => readOnly),
    [false],
  );
});

test("takeDisks names what cannot be a disk", () => {
  mkdirSync(join(folder, "directory"), { recursive: true });
  const refused = (mount: Omit<Mount, "destination">, field: string, message: RegExp) =>
    assert.throws(() => take(spec([{ destination: "/x", ...mount }])), { field, message });
  refused({ type: "ext4", source: join(folder, "none") }, "mounts[0].source", /there is no .*none/);
  refused({ type: "ext4", source: image }, "mounts[0].source", /is no block device/);
  refused({ type: "xfs", source: "directory", options: ["loop"] }, "mounts[0].source", /is no block device/);
  refused({ type: "bind", source: "directory", options: ["loop"] }, "mounts[0].options", /"loop" is for files/);
  refused({ type: "bind", source: image, options: ["loop", "nodev"] }, "mounts[0].options", /"nodev"/);
});

test("takeDisks takes what a snapshotter has on block devices for the guest's root file system", () => {
  const rootfs = [{ type: "ext4", source: image, target: "", options: ["loop", "discard"] }];
  assert.equal(isDiskRootfs(rootfs), true);
  assert.equal(isDiskRootfs([{ type: "overlay", options: [] }]), false);
  assert.equal(isDiskRootfs([]), false);
  const { fileSystems } = takeDisks(spec([]), { id: "one", directory: folder, rootfs });
  assert.deepEqual(
    fileSystems.map(({ path, data, type, field }) => [path, data, type, field]),
    [["", "discard", "ext4", "rootfs[0]"]],
  );
  const layer = [{ type: "erofs", source: image, target: "", options: [] }];
  const { disks, fileSystems: layers } = takeDisks(spec([]), { id: "one", directory: folder, rootfs: layer });
  assert.deepEqual([disks[0]?.readOnly, layers[0]?.flags], [true, 1]);
  const beyond = [{ ...rootfs[0], type: "erofs", source: image, target: "", options: ["X-containerd.x=1"] }];
  assert.throws(() => takeDisks(spec([]), { id: "one", directory: folder, rootfs: beyond }), { field: "rootfs[0]" });
});

test("takeDisks has a device read-only unless a rule lets the container write to it", loops, () => {
  using loop = new LoopDevice(image);
  const numbers = { major: loop.major, minor: loop.minor };
  const device = { path: "/dev/x", type: "b" as const, ...numbers };
  const access = (rules: DeviceRule[]) => {
    const config: Spec = { ociVersion: "1.2.0", linux: { devices: [device], resources: { devices: rules } } };
    const [disk] = take(config).disks;
    assert.deepEqual([disk?.path, disk?.field], [loop.path, "linux.devices[0]"]);
    return disk?.readOnly;
  };
  const allow: DeviceRule = { allow: true, type: "b", ...numbers, access: "rwm" };
  assert.equal(access([]), true);
  assert.equal(access([{ allow: false }, allow]), false);
  assert.equal(access([{ allow: false }, { ...allow, access: "rm" }]), true);
  assert.equal(access([allow, { allow: false, type: "b", ...numbers, access: "w" }]), true);
  assert.equal(access([allow, { allow: false, type: "c", ...numbers }]), false);
});

test("takeDisks makes the bind mount of a device's node a device with the node's mode", loops, () => {
  using loop = new LoopDevice(image);
  const mounts = [{ destination: "/dev/x", type: "bind", source: loop.path, options: ["bind"] }];
  const { spec: config, disks } = take(spec(mounts, [{ allow: true, access: "rwm" }]));
  assert.deepEqual(
    disks.map(({ readOnly, image: isImage, field }) => [readOnly, isImage, field]),
    [[false, false, "mounts[0].source"]],
  );
  const [device] = config.linux?.devices ?? [];
  assert.deepEqual([device?.major, device?.minor, device?.path], [loop.major, loop.minor, "/dev/x"]);
  assert.equal(device?.fileMode, statSync(loop.path).mode & 0o777);
});
