import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { LoopDevice } from "../../../test/harness/loop-device.ts";
import { ClaimedDisk } from "./claim.ts";
import type { DiskUse } from "./take.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-claim-"));
after(() => rmSync(folder, { recursive: true }));
const loops = { skip: !LoopDevice.canBe() && "needs loop devices" };

function image(name: string, bytes = 1024 * 1024): DiskUse {
  const path = join(folder, name);
  writeFileSync(path, "");
  truncateSync(path, bytes);
  return { path, name, field: "mounts[0].source", readOnly: false, image: true, major: 0, minor: 1 };
}

const device = ({ path, major, minor }: LoopDevice): DiskUse => {
  return { path, name: path, field: "linux.devices[0]", readOnly: false, image: false, major, minor };
};

const IN_USE = { code: "CAISSON_E_STORAGE", message: /in use on the host/ };

test("ClaimedDisk.open gives what may be written to one alone, and what is only read to many", () => {
  const use = image("shared");
  const reading = { ...use, readOnly: true };
  {
    using first = ClaimedDisk.open(use);
    assert.equal(first.isDevice, false);
    assert.equal(writeSync(first.fd, "x"), 1);
    assert.throws(() => ClaimedDisk.open(use), { ...IN_USE, field: "mounts[0].source" });
    assert.throws(() => ClaimedDisk.open(reading), IN_USE);
  }
  using one = ClaimedDisk.open(reading);
  using _two = ClaimedDisk.open(reading);
  assert.throws(() => writeSync(one.fd, "x"), { code: "EBADF" });
  assert.throws(() => ClaimedDisk.open(use), IN_USE);
});

test("ClaimedDisk.open refuses what is empty, or is not there", () => {
  assert.throws(() => ClaimedDisk.open(image("empty", 0)), { message: /it is empty/ });
  assert.throws(() => ClaimedDisk.open({ ...image("gone"), path: join(folder, "none") }), {
    message: /cannot open .*none/,
  });
  const isDirectory = { ...image("folder"), path: folder, readOnly: true };
  assert.throws(() => ClaimedDisk.open(isDirectory), { message: /is another file/ });
});

test("ClaimedDisk.open has a device of the host for itself", loops, () => {
  const { path } = image("device");
  using loop = new LoopDevice(path, ["--sector-size", "4096"]);
  const use = device(loop);
  {
    using disk = ClaimedDisk.open(use);
    assert.deepEqual([disk.isDevice, disk.readOnly, disk.sectorBytes], [true, false, 4096]);
    const flags = Number.parseInt(
      /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${disk.fd}`, "utf8"))?.[1] ?? "",
      8,
    );
    assert.equal(flags & constants.O_DIRECT, constants.O_DIRECT, "QEMU's monitor_fdset_dup_fd_add() looks for it");
    assert.throws(() => ClaimedDisk.open(use), IN_USE);
    assert.throws(() => openSync(loop.path, constants.O_RDWR | constants.O_EXCL), { code: "EBUSY" });
    assert.throws(() => ClaimedDisk.open(image("device")), IN_USE, "its image");
  }
  closeSync(openSync(loop.path, constants.O_RDWR | constants.O_EXCL));
  assert.throws(() => ClaimedDisk.open({ ...use, minor: loop.minor + 1 }), { message: /is another file/ });
});

test("ClaimedDisk.open does not give away what the host has mounted", loops, () => {
  const { path } = image("mounted");
  execFileSync("mkfs.ext4", ["-q", "-F", path]);
  using loop = new LoopDevice(path);
  const point = join(folder, "point");
  mkdirSync(point);
  execFileSync("mount", [loop.path, point]);
  try {
    assert.throws(() => ClaimedDisk.open(device(loop)), { ...IN_USE, message: /it is mounted/ });
  } finally {
    execFileSync("umount", [point]);
  }
});

test("ClaimedDisk.open has a device that the host keeps read-only for reading", loops, () => {
  using loop = new LoopDevice(image("read-only").path, ["--read-only"]);
  using disk = ClaimedDisk.open(device(loop));
  assert.equal(disk.readOnly, true);
});
