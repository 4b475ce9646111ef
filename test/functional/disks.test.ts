/** Block devices of the host, and images of such, in containers: raw, as file systems, and taken away again. */
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
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";
import { tool } from "../../guest-image/tools.ts";
import type { DeviceRule, Spec } from "../../protocol/oci.ts";
import { Bundle } from "../harness/bundle.ts";
import { Host } from "../harness/host.ts";
import { LoopDevice } from "../harness/loop-device.ts";

const options = { skip: !LoopDevice.canBe() && "needs loop devices" };
const MIB = 1024 * 1024;
const host = new Host();
const folder = mkdtempSync(join(tmpdir(), "caisson-disks-"));
afterEach(() => host.clear());
after(async () => {
  await host[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function image(name: string, mib: number, directory = folder): string {
  const path = join(directory, name);
  writeFileSync(path, "");
  truncateSync(path, mib * MIB);
  return path;
}

const makeExt4 = (path: string) => execFileSync("mkfs.ext4", ["-q", "-F", path]);
/** How many files a check counts in a file system that nobody has mounted; it fails if anything is wrong there. */
const countOfFiles = (path: string) => {
  const said = execFileSync("e2fsck", ["-fn", path], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  return Number(/(\d+)\/\d+ files/.exec(said)?.[1]);
};
const contentOf = (path: string, file: string) =>
  execFileSync("debugfs", ["-R", `cat ${file}`, path], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

function container(...args: string[]): Bundle {
  const bundle = new Bundle(args);
  for (const name of ["od", "mke2fs", "fdisk", "df", "printf", "mknod"])
    symlinkSync("busybox", join(bundle.rootfs, "bin", name));
  return bundle;
}

function addDevice(spec: Spec, path: string, { major, minor }: LoopDevice, access = "rwm"): void {
  const rule: DeviceRule = { allow: true, type: "b", major, minor, access };
  spec.linux = {
    ...spec.linux,
    devices: [...(spec.linux?.devices ?? []), { path, type: "b", major, minor, fileMode: 0o640, uid: 0, gid: 6 }],
    resources: { ...spec.linux?.resources, devices: [...(spec.linux?.resources?.devices ?? []), rule] },
  };
}

test(
  "a block device, an image and a file system on one: what is written is on the host's disk afterwards",
  options,
  async () => {
    const [raw, fixed, volume] = [image("raw", 16), image("fixed", 1), image("volume", 32)];
    makeExt4(volume);
    // Those of mkfs.ext4's own, of which newer releases make more.
    const atFirst = countOfFiles(volume);
    writeFileSync(fixed, "x".repeat(MIB));
    using loop = new LoopDevice(raw);
    const layer = join(folder, "layer");
    mkdirSync(layer);
    writeFileSync(join(layer, "file"), "of-a-layer\n".repeat(1000));
    const [layers, blob] = [join(folder, "layers.erofs"), join(folder, "blob")];
    writeFileSync(blob, "");
    execFileSync(tool("mkfs.erofs"), ["--quiet", "--chunksize=4096", `--blobdev=${blob}`, layers, layer]);
    using bundle = container(
      "sh",
      "-c",
      "stat -c '%A %g %t:%T' /dev/xvda; mke2fs -q /dev/xvda > /dev/null; printf hello | dd of=/dev/xvda bs=512 2>/dev/null; " +
        "printf 'n\\np\\n1\\n\\n\\nw\\n' | fdisk /dev/xvda >/dev/null 2>&1; " +
        "fdisk -l /dev/xvda | grep -c '^/dev/xvda1'; sha256sum < /dev/ro; " +
        "echo y | dd of=/dev/ro 2>/dev/null; echo wrote: $?; " +
        "d=$(stat -c %d /data); mknod /dev/other b $((d / 256)) $((d % 256)); dd if=/dev/other count=1; grep -c ' /data ext4 rw,nosuid' /proc/mounts; " +
        "seq 100000 > /data/numbers; echo by-the-guest > /data/file; tail -n 1 /layers/file",
    );
    addDevice(bundle.spec, "/dev/xvda", loop);
    bundle.process.capabilities = { bounding: ["CAP_MKNOD"], effective: ["CAP_MKNOD"], permitted: ["CAP_MKNOD"] };
    bundle.spec.mounts?.push(
      { destination: "/dev/ro", type: "bind", source: fixed, options: ["bind", "ro"] },
      { destination: "/layers", type: "erofs", source: layers, options: ["loop", `device=${blob}`] },
      { destination: "/data", type: "ext4", source: volume, options: ["loop", "nosuid"] },
    );
    bundle.spec.annotations = { "io.caisson.disk_images": "/dev/ro" };
    bundle.write();
    const { exitCode, stdout, stderr } = await host.run(["run", "-b", bundle.directory, host.id()]);
    assert.equal(exitCode, 0, stderr);
    const sum = execFileSync("sha256sum", { input: readFileSync(fixed), encoding: "utf8" });
    const lines = stdout.split("\n");
    assert.match(lines[0] ?? "", /^brw-r----- 6 8:[0-9a-f]+$/);
    assert.deepEqual(lines.slice(1), ["1", sum.trimEnd(), "wrote: 1", "1", "of-a-layer", ""]);
    assert.match(stderr, /can't open '\/dev\/other': Operation not permitted/);
    assert.equal(readFileSync(raw).subarray(0, 5).toString(), "hello");
    assert.equal(readFileSync(raw).readUInt16LE(510), 0xaa55);
    assert.equal(contentOf(volume, "/file"), "by-the-guest\n");
    assert.match(contentOf(volume, "/numbers"), /\n100000\n$/);
    assert.equal(countOfFiles(volume), atFirst + 2);
  },
);

test("a disk is one sandbox's, and comes free when its container is deleted", options, async () => {
  const raw = image("claimed", 8);
  using loop = new LoopDevice(raw);
  const isFree = () => {
    try {
      closeSync(openSync(loop.path, constants.O_RDWR | constants.O_EXCL));
      return true;
    } catch {
      return false;
    }
  };
  for (const machine of ["microvm", "q35"]) {
    using pod = new Bundle();
    // q35 is booted, microvm cloned or forked.
    const template = machine === "q35" ? { "io.caisson.template": "off" } : {};
    pod.spec.annotations = {
      "io.kubernetes.cri-o.ContainerType": "sandbox",
      "io.caisson.machine": machine,
      ...template,
    };
    pod.write();
    const podId = await host.start(pod);
    const { pid } = JSON.parse(await host.ok(["state", podId])) as { pid: number };
    const member = (...args: string[]) => {
      const bundle = container(...args);
      const namespaces = bundle.spec.linux?.namespaces ?? [];
      bundle.spec.linux = {
        ...bundle.spec.linux,
        namespaces: namespaces.map(({ type }) =>
          type === "network" ? { type, path: `/proc/${pid}/ns/net` } : { type },
        ),
      };
      addDevice(bundle.spec, "/dev/data", loop);
      return bundle.write();
    };
    using first = member("sh", "-c", "echo from-the-first > /dev/data; sleep 1000");
    const firstId = await host.start(first);
    assert.equal(isFree(), false);
    // Its other containers may have it, too.
    using second = member("sh", "-c", "head -n 1 /dev/data 2>/dev/null || dd if=/dev/data bs=14 count=1 2>/dev/null");
    const secondRun = await host.run(["run", "-b", second.directory, host.id()]);
    assert.match(secondRun.stdout, /^from-the-first/, secondRun.stderr);

    if (machine === "microvm") {
      using other = container("true");
      addDevice(other.spec, "/dev/data", loop, "r");
      other.write();
      const refused = await host.run(["run", "-b", other.directory, host.id()]);
      assert.equal(refused.exitCode, 1);
      assert.match(
        refused.stderr,
        /linux\.devices\[0\]: the VM cannot have \/dev\/data as a disk: it is in use on the host: another VM/,
      );
    }
    await host.ok(["delete", "--force", firstId]);
    assert.equal(isFree(), true, machine);
    assert.equal(readFileSync(raw).subarray(0, 14).toString(), "from-the-first");
    const disks = await host.ok(["exec", podId, "ls", "/sys/block"]);
    assert.doesNotMatch(disks, /sd[a-z]/);
    await host.ok(["delete", "--force", podId]);
  }
});

test(
  "a full host disk is an error where what was written to a file system on an image has to reach it",
  options,
  async () => {
    const small = mkdtempSync(join(tmpdir(), "caisson-small-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", small]);
    try {
      const volume = image("volume", 64, small);
      makeExt4(volume);
      using bundle = container("sh", "-c", "dd if=/dev/zero of=/data/file bs=64k count=256 conv=fsync; echo $?");
      bundle.spec.mounts?.push({ destination: "/data", type: "ext4", source: volume, options: ["loop"] });
      bundle.write();
      const { stdout, stderr } = await host.run(["run", "-b", bundle.directory, host.id()]);
      assert.equal(stdout, "1\n", stderr);
      assert.match(stderr, /No space left on device|Input\/output error/);
    } finally {
      execFileSync("umount", [small]);
      rmSync(small, { recursive: true });
    }
  },
);
