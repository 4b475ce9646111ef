import assert from "node:assert/strict";
import { test } from "node:test";
import { mountsBelow } from "./mounts-below.ts";

const MOUNTINFO = `21 1 0:20 / / rw - ext4 /dev/sda rw
22 21 0:21 / /run rw - tmpfs tmpfs rw
23 22 0:22 / /run/caisson/a/share rw - tmpfs tmpfs rw
24 23 0:23 / /run/caisson/a/share/a/rootfs rw - ext4 /dev/sda rw
25 22 0:24 / /run/caisson/ab rw - tmpfs tmpfs rw
26 22 0:25 / /run/caisson/with\\040space/x rw - tmpfs tmpfs rw
`;

test("mountsBelow finds the mounts below a directory, deepest first", () => {
  assert.deepEqual(mountsBelow("/run/caisson/a", MOUNTINFO), ["/run/caisson/a/share/a/rootfs", "/run/caisson/a/share"]);
});

test("mountsBelow does not take a directory for one whose name begins alike, and reads escapes", () => {
  assert.deepEqual(mountsBelow("/run/caisson/ab", MOUNTINFO), ["/run/caisson/ab"]);
  assert.deepEqual(mountsBelow("/run/caisson/with space", MOUNTINFO), ["/run/caisson/with space/x"]);
  assert.deepEqual(mountsBelow("/run/caisson/c", MOUNTINFO), []);
});
