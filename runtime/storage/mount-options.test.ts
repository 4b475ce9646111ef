import assert from "node:assert/strict";
import { test } from "node:test";
import { constants } from "../../native/posix/index.ts";
import { compactOverlay, LONGEST_DATA, mountArguments } from "./mount-options.ts";

test("mountArguments sorts flags from what the file system is told", () => {
  assert.deepEqual(mountArguments(["index=off", "ro", "lowerdir=/a:/b", "nosuid"]), {
    flags: constants.MS_RDONLY | constants.MS_NOSUID,
    data: ["index=off", "lowerdir=/a:/b"],
  });
  assert.deepEqual(mountArguments(["rbind", "rw"]), { flags: constants.MS_BIND | constants.MS_REC, data: [] });
  assert.deepEqual(mountArguments([]), { flags: 0, data: [] });
});

test("mountArguments: the last option wins", () => {
  assert.equal(mountArguments(["ro", "rw"]).flags, 0);
  assert.equal(mountArguments(["rw", "ro"]).flags, constants.MS_RDONLY);
});

test("mountArguments takes no option for a property of every object", () => {
  assert.deepEqual(mountArguments(["constructor"]), { flags: 0, data: ["constructor"] });
});

test("compactOverlay leaves alone what fits", () => {
  assert.deepEqual(compactOverlay(["lowerdir=/a:/b", "upperdir=/c"]), { data: "lowerdir=/a:/b,upperdir=/c" });
});

test("compactOverlay takes the common folder from many lower directories", () => {
  const folder = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots";
  const lowers = Array.from({ length: 100 }, (_, index) => `${folder}/${index}/fs`);
  const compact = compactOverlay(["workdir=/w", `lowerdir=${lowers.join(":")}`, "upperdir=/u"]);
  assert.equal(compact.folder, folder);
  assert.ok(compact.data.length < LONGEST_DATA);
  assert.match(compact.data, /^workdir=\/w,lowerdir=0\/fs:1\/fs:.*:99\/fs,upperdir=\/u$/);
});

test("compactOverlay cannot shorten paths that have nothing in common", () => {
  const lowers = Array.from({ length: 2000 }, (_, index) => `/${index}`);
  assert.equal(compactOverlay([`lowerdir=${lowers.join(":")}`]).folder, undefined);
});
