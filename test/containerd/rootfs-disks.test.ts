/** Root file systems that a snapshotter has on block devices, or in images of them: the guest mounts them, and the host never does. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { until } from "../harness/host.ts";
import { LoopDevice } from "../harness/loop-device.ts";
import { Netns } from "../harness/network.ts";
import { Calls } from "./sandbox-calls.ts";
import { Shim } from "./shim.ts";

const options = { skip: !LoopDevice.canBe() && "needs loop devices" };
const folder = mkdtempSync(join(tmpdir(), "caisson-rootfs-"));
after(() => rmSync(folder, { recursive: true }));

/** A bundle whose root file system is in an image, in place of its directory. */
function onDisk(
  make: (root: string, image: string) => void,
  name: string,
  ...args: string[]
): { bundle: Bundle; image: string } {
  const bundle = new Bundle(args);
  // The files that a pod's containers have of their sandbox: a read-only root must have them.
  for (const file of ["hostname", "hosts", "resolv.conf"]) writeFileSync(join(bundle.rootfs, "etc", file), "");
  const image = join(folder, name);
  make(bundle.rootfs, image);
  renameSync(bundle.rootfs, join(bundle.directory, "before"));
  mkdirSync(bundle.rootfs);
  return { bundle, image };
}

function makeExt4(root: string, image: string): void {
  writeFileSync(image, "");
  truncateSync(image, 32 * 1024 * 1024);
  execFileSync("mkfs.ext4", ["-q", "-F", "-d", root, image]);
}

test("Create with a root file system on a block device, in an image, and in a read-only one", options, async () => {
  using netns = new Netns();
  await using shim = await Shim.start("disks");
  const calls = new Calls(shim);
  await calls.create(netns.path);
  const { pid } = await calls.start();
  const shell = ["sh", "-c", "cat /proc/mounts; echo made > /made; echo done"];
  const mountOf = (type: string, source: string, ...more: string[]) => ({ type, source, target: "", options: more });

  // blockfile and erofs name images; devmapper a device.
  const file = onDisk(makeExt4, "file.ext4", ...shell);
  const device = onDisk(makeExt4, "device.ext4", ...shell);
  const layer = onDisk((root, image) => execFileSync("mkfs.erofs", ["--quiet", image, root]), "layer.erofs", ...shell);
  using loop = new LoopDevice(device.image);
  const cases = [
    { id: "file", bundle: file.bundle, rootfs: [mountOf("ext4", file.image, "loop")], shown: /^\S+ \/ ext4 rw/m },
    { id: "device", bundle: device.bundle, rootfs: [mountOf("ext4", loop.path, "discard")], shown: /^\S+ \/ ext4 rw/m },
    {
      id: "layer",
      bundle: layer.bundle,
      rootfs: [mountOf("erofs", layer.image, "ro", "loop")],
      shown: /^\S+ \/ erofs ro/m,
    },
  ];
  for (const { id, bundle, rootfs, shown } of cases) {
    const output = await calls.container(id, bundle, pid, { rootfs });
    await calls.exited(id);
    await until(() => readFileSync(output, "utf8").endsWith("done\n"));
    assert.match(readFileSync(output, "utf8"), shown);
    // Nor is the image's content in the host's directory.
    assert.deepEqual(readdirSync(bundle.rootfs), []);
    await calls.remove(id);
  }
  for (const image of [file.image, device.image]) {
    const made = execFileSync("debugfs", ["-R", "cat /made", image], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    assert.equal(made, "made\n");
    execFileSync("e2fsck", ["-fn", image], { stdio: "ignore" });
  }
  // What the host uses is refused, and the sandbox goes on.
  const busy = mountOf("ext4", device.image, "loop");
  await assert.rejects(
    calls.container("busy", device.bundle, pid, { rootfs: [busy] }),
    /rootfs\[0\].*loop\d+ is on it/s,
  );
  await calls.ping();
  await calls.stop();
  await calls.shutdown();
  assert.equal(await shim.gone(), true);
});
