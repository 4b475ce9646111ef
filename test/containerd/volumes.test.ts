import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { until } from "../harness/host.ts";
import { LoopDevice } from "../harness/loop-device.ts";
import type { Cri } from "./cri.ts";
import { Engine, options, whyNot } from "./engine.ts";
import { Pod } from "./pod.ts";

let engine: Engine;
let cri: Cri;
before(async () => {
  if (whyNot !== undefined) return;
  engine = await Engine.start();
  cri = engine.cri();
});
after(async () => {
  if (whyNot !== undefined) return;
  cri[Symbol.dispose]();
  await engine.stop();
});

const raw = { skip: whyNot ?? (!LoopDevice.canBe() && "needs loop devices") };
const FOREVER = ["sleep", "1000"];

/** A change of the host's shows within a second; until then a name that is new, or gone, may still be what it was. */
const shows = (pod: Pod, container: string, script: string, text: string) =>
  until(async () => (await pod.exec(container, "sh", "-c", script)).stdout.trimEnd() === text);

test("a ConfigMap that changes while the pod runs shows, whole", options, async () => {
  const folder = join(engine.folder, "pods", "uid", "volumes", "kubernetes.io~configmap", "settings");
  // kubelet's way (AtomicWriter): a folder for each version, which a symbolic link chooses.
  const write = (version: number, text: string) => {
    mkdirSync(join(folder, `..${version}`), { recursive: true });
    writeFileSync(join(folder, `..${version}`, "key"), text);
    symlinkSync(`..${version}`, join(folder, "..data_tmp"));
    renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
    rmSync(join(folder, `..${version - 1}`), { recursive: true, force: true });
  };
  write(1, "old");
  symlinkSync("..data/key", join(folder, "key"));
  await using pod = await Pod.run(engine, cri);
  const mounts = [{ containerPath: "/config", hostPath: folder, readonly: true }];
  const container = await pod.container("reader", FOREVER, { mounts });
  assert.equal(await pod.sh(container, "cat /config/key"), "old");
  write(2, "new, and longer");
  await shows(pod, container, "cat /config/key", "new, and longer");
  write(3, "short");
  await shows(pod, container, "cat /config/key; ls -A /config | grep -c '^\\.\\.[0-9]'", "short1");
});

test("host folders and single files are volumes, both ways and at once", options, async () => {
  const folder = join(engine.folder, "volume");
  mkdirSync(folder);
  writeFileSync(join(folder, "single"), "one file");
  await using pod = await Pod.run(engine, cri);
  const mounts = [
    { containerPath: "/folder", hostPath: folder },
    { containerPath: "/single", hostPath: join(folder, "single"), readonly: true },
  ];
  const container = await pod.container("both", FOREVER, { mounts });
  assert.equal(await pod.sh(container, "cat /single"), "one file");
  assert.notEqual((await pod.exec(container, "sh", "-c", "echo x > /single")).exitCode, 0);
  assert.equal((await pod.exec(container, "ls", "/folder/added")).exitCode, 1);
  writeFileSync(join(folder, "added"), "from the host");
  assert.equal(await pod.sh(container, "cat /folder/added"), "from the host");
  await pod.sh(container, "echo from the pod > /folder/back");
  assert.equal(readdirSync(folder).includes("back"), true);
});

test("an emptyDir is shared by the pod's containers", options, async () => {
  const folder = join(engine.folder, "pods", "uid", "volumes", "kubernetes.io~empty-dir", "work");
  mkdirSync(folder, { recursive: true });
  await using pod = await Pod.run(engine, cri);
  const mounts = [{ containerPath: "/work", hostPath: folder }];
  const writer = await pod.container("writer", ["sh", "-c", "echo done > /work/result"], { mounts });
  assert.equal((await pod.exited(writer)).exitCode, 0);
  const reader = await pod.container("reader", FOREVER, { mounts });
  assert.equal(await pod.sh(reader, "cat /work/result; echo more >> /work/result"), "done");
  await pod.remove(writer);
  assert.equal(await pod.sh(reader, "cat /work/result"), "done\nmore");
});

test("volumes mounted after the pod started show, and what is mounted in them while it runs", options, async () => {
  const folder = join(engine.folder, "late");
  mkdirSync(folder);
  await using pod = await Pod.run(engine, cri);
  const mount = (path: string) => {
    mkdirSync(path, { recursive: true });
    execFileSync("mount", ["-t", "tmpfs", "none", path]);
    execFileSync("mount", ["--make-shared", path]);
  };
  try {
    mount(folder);
    writeFileSync(join(folder, "note"), "in the volume");
    mkdirSync(join(folder, "inner"));
    const propagation = "PROPAGATION_HOST_TO_CONTAINER";
    const mounts = [{ containerPath: "/late", hostPath: folder, propagation }];
    const container = await pod.container("late", FOREVER, { mounts });
    assert.equal(await pod.sh(container, "cat /late/note"), "in the volume");
    assert.equal(await pod.sh(container, "ls /late/inner"), "");
    mount(join(folder, "inner"));
    writeFileSync(join(folder, "inner", "note"), "in it");
    await shows(pod, container, "cat /late/inner/note", "in it");
    // virtiofsd keeps what the guest has looked at open.
    execFileSync("umount", ["--lazy", join(folder, "inner")]);
    await shows(pod, container, "ls /late/inner", "");
    await pod.remove(container);
    assert.equal(readFileSync(join(folder, "note"), "utf8"), "in the volume");
  } finally {
    for (const path of engine.mounts().filter((each) => each.startsWith(folder))) execFileSync("umount", [path]);
  }
});

test(
  "a raw block volume of Kubernetes is a device, read-only when asked, and free again when its container has gone",
  raw,
  async () => {
    const image = join(engine.folder, "raw");
    writeFileSync(image, "from the host".padEnd(1024 * 1024, "\0"));
    using volume = new LoopDevice(image);
    await using pod = await Pod.run(engine, cri);
    // kubelet's words (pkg/kubelet/kuberuntime, makeBlockVolumes).
    const device = (permissions: string) => ({
      devices: [{ containerPath: "/dev/data", hostPath: volume.path, permissions }],
    });
    const reader = await pod.container("reader", FOREVER, device("mr"));
    assert.equal(await pod.sh(reader, "dd if=/dev/data bs=13 count=1 2>/dev/null"), "from the host");
    assert.notEqual((await pod.exec(reader, "sh", "-c", "echo x > /dev/data")).exitCode, 0);
    await pod.remove(reader);
    const writer = await pod.container("writer", FOREVER, device("mrw"));
    await pod.sh(writer, "echo by the pod | dd of=/dev/data conv=notrunc 2>/dev/null; cat /dev/data > /dev/null");
    await pod.remove(writer);
    assert.equal(readFileSync(image).subarray(0, 10).toString(), "by the pod");
    closeSync(openSync(volume.path, constants.O_RDWR | constants.O_EXCL));
  },
);
