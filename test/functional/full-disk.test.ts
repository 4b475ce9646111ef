/** The host's disk is full: whoever writes is told, as on a local disk. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { Host } from "../harness/host.ts";
import { LoopDevice } from "../harness/loop-device.ts";

const options = { skip: !LoopDevice.canBe() && "needs loop devices" };
const host = new Host();
const folder = mkdtempSync(join(tmpdir(), "caisson-full-"));
after(async () => {
  await host[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** Takes space only when it writes to the disk (delayed allocation), as most of the host's file systems do. */
function mountSmall(name: string): string {
  const image = join(folder, `${name}.img`);
  writeFileSync(image, "");
  truncateSync(image, 16 * 1024 * 1024);
  execFileSync("mkfs.ext4", ["-q", "-F", image]);
  const point = join(folder, name);
  mkdirSync(point);
  execFileSync("mount", ["-o", "loop", image, point]);
  return point;
}

test("a root file system and a volume on a full disk: writes fail, and what fits is there", options, async () => {
  const [root, volume] = [mountSmall("root"), mountSmall("volume")];
  try {
    const each = (directory: string) =>
      `cd ${directory}; dd if=/dev/zero of=big bs=1M count=64; echo dd $?; ` +
      "echo more > small && sync small; echo small $?; busybox rm big; echo fits > small && sync small; echo after $?; ";
    using bundle = new Bundle(["sh", "-c", `${each("/")}${each("/volume")}`]);
    cpSync(bundle.rootfs, join(root, "rootfs"), { recursive: true, verbatimSymlinks: true });
    symlinkSync("busybox", join(root, "rootfs", "bin", "rm"));
    bundle.spec.root = { path: join(root, "rootfs") };
    bundle.spec.mounts?.push({ destination: "/volume", source: volume, options: ["bind"] });
    bundle.write();
    const { stdout, stderr } = await host.run(["run", "-b", bundle.directory, host.id()]);
    assert.match(stdout, /^(dd 1\nsmall [01]\nafter 0\n){2}$/, stderr);
    assert.equal(stderr.match(/No space left on device/g)?.length, 2 + (stdout.match(/small 1/g)?.length ?? 0));
    for (const directory of [join(root, "rootfs"), volume]) {
      assert.equal(readFileSync(join(directory, "small"), "utf8"), "fits\n");
    }
  } finally {
    for (const point of [root, volume]) execFileSync("umount", [point]);
  }
});
