import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isDiskRootfs } from "./disks/kinds.ts";
import { mountRootfs } from "./rootfs-mounts.ts";

test("mountRootfs refuses what containerd's mount manager is to make, by its name", () => {
  const rootfs = mkdtempSync(join(tmpdir(), "caisson-rootfs-"));
  // As containerd's erofs snapshotter has them, with its writable layer as an image and without.
  const layer = { type: "erofs", source: "/snapshots/1/layer.erofs", target: "", options: ["ro", "loop"] };
  const writable = { type: "mkfs/ext4", source: "/rw.img", target: "", options: ["X-containerd.mkfs.fs=ext4", "loop"] };
  const options = ["X-containerd.mkdir.path={{ mount 0 }}/upper:0755", "lowerdir={{ overlay 1 0 }}"];
  const over = (type: string) => ({ type, source: "overlay", target: "", options });
  const refused = (mounts: Parameters<typeof mountRootfs>[1], field: string, message: RegExp) => {
    assert.equal(isDiskRootfs(mounts), false);
    assert.throws(() => mountRootfs(rootfs, mounts), {
      code: "CAISSON_E_CONFIG_UNSUPPORTED",
      field,
      message,
      remedy: /mount manager/,
    });
  };
  refused([layer, layer, over("format/overlay")], "rootfs[2]", /the mount type "format\/overlay" is not supported/);
  refused([writable, layer, over("format/mkdir/overlay")], "rootfs[0]", /the mount type "mkfs\/ext4"/);
  refused([over("mkdir/overlay")], "rootfs[0]", /the mount type "mkdir\/overlay"/);
  assert.deepEqual(readdirSync(rootfs), []);
  rmSync(rootfs, { recursive: true });
});
