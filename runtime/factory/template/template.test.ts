import assert from "node:assert/strict";
import {
  appendFileSync,
  closeSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { VmSpec } from "../../vm/spec.ts";
import { templateInputs, templateKey } from "./key.ts";
import { type Manifest, seal } from "./manifest.ts";
import { TemplateStore } from "./store.ts";
import { MANIFEST_FILE, MEMORY_FILE, STATE_FILE } from "./template.ts";

/** A host with files to make a VM of, and a store. */
function prepare(context: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "caisson-template-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = (name: string) => {
    const path = join(folder, name);
    writeFileSync(path, `the ${name}`);
    return path;
  };
  const spec: VmSpec = {
    qemu: { path: file("qemu"), version: [7, 2, 0], files: [] },
    machine: "microvm",
    accelerator: "tcg",
    memoryMib: 1,
    ceilingMib: 1,
    vcpus: 1,
    mostVcpus: 1,
    kernel: file("kernel"),
    initrd: file("initrd"),
    image: file("image"),
    kernelParams: [],
    transport: "virtio-serial",
    tscKhz: 1_000_000,
    networks: [],
    passed: [],
    users: { first: 2_000_000_000, count: 1024 },
    consoleLog: "/console.log",
  };
  return { folder, spec, store: new TemplateStore(join(folder, "parent", "templates")) };
}

function keyOf(spec: VmSpec): string {
  const fd = openSync(spec.image, "r");
  try {
    return templateKey(spec, templateInputs(spec, fd));
  } finally {
    closeSync(fd);
  }
}

/** Puts a template into the store as a builder would, without a VM. */
async function plant(store: TemplateStore, spec: VmSpec): Promise<string> {
  const key = keyOf(spec);
  const folder = join(store.directory, key);
  mkdirSync(folder);
  const sealFile = async (name: string, content: string) => {
    writeFileSync(join(folder, name), content);
    const fd = openSync(join(folder, name), "r");
    try {
      return await seal(fd);
    } finally {
      closeSync(fd);
    }
  };
  const image = openSync(spec.image, "r");
  const inputs = templateInputs(spec, image);
  closeSync(image);
  const { machine, accelerator, transport, memoryMib, vcpus } = spec;
  const shape = { machine, accelerator, transport, memoryMib, vcpus, networks: 0 };
  const memory = await sealFile(MEMORY_FILE, "memory".repeat(1000));
  const state = await sealFile(STATE_FILE, "state".repeat(1000));
  const manifest: Manifest = { key, inputs, ...shape, memory, state };
  writeFileSync(join(folder, MANIFEST_FILE), JSON.stringify(manifest));
  return key;
}

const openDescriptors = () => readdirSync("/proc/self/fd").length;

test("templateKey differs with whatever shapes the guest, and with nothing else", (context) => {
  const { spec } = prepare(context);
  const key = keyOf(spec);
  const others: Partial<VmSpec>[] = [
    { machine: "q35" },
    { accelerator: "kvm" },
    { memoryMib: 2 },
    { ceilingMib: 1024 },
    { mostVcpus: 2 },
    { vcpus: 2, mostVcpus: 2 },
    { kernelParams: ["x"] },
    { transport: "vsock" },
    { tscKhz: 2_000_000 },
    { networks: [{ tapFd: 5 }] },
    { qemu: { ...spec.qemu, version: [7, 2, 1] } },
    { kernel: spec.initrd },
    { initrd: spec.kernel },
    { image: spec.kernel },
  ];
  const keys = others.map((other) => keyOf({ ...spec, ...other }));
  assert.equal(new Set([key, ...keys]).size, others.length + 1);
  assert.equal(keyOf({ ...spec, consoleLog: "/other" }), key);
  const network = (tapFd: number, vhostFd?: number) => keyOf({ ...spec, networks: [{ tapFd, vhostFd }] });
  assert.equal(network(5), network(6, 7));
  assert.match(key, /^[0-9a-f]{32}$/);
});

test("templateKey differs when a file was replaced or changed, even if its size and time were set back", (context) => {
  const { folder, spec } = prepare(context);
  for (const path of [spec.qemu.path, spec.kernel, spec.initrd, spec.image]) {
    utimesSync(path, 1, 1);
    const before = keyOf(spec);
    assert.equal(keyOf(spec), before);
    writeFileSync(join(folder, "new"), readFileSync(path));
    utimesSync(join(folder, "new"), 1, 1);
    renameSync(join(folder, "new"), path);
    assert.notEqual(keyOf(spec), before);
  }
});

test("TemplateStore.open returns the files of the template, which outlive its removal", async (context) => {
  const { spec, store } = prepare(context);
  assert.equal(store.open(spec), undefined);
  const key = await plant(store, spec);
  const before = openDescriptors();
  const template = store.open(spec);
  assert.equal(template?.key, key);
  assert.equal(store.remove(key), true);
  assert.equal(store.remove(key), false);
  assert.deepEqual(readdirSync(store.directory), []);
  assert.equal(readFileSync(template?.memoryFd ?? -1, "utf8"), "memory".repeat(1000));
  assert.equal(fstatSync(template?.memoryFd ?? -1).nlink, 0);
  assert.equal(readFileSync(template?.imageFd ?? -1, "utf8"), "the image");
  template?.close();
  template?.close();
  assert.equal(openDescriptors(), before);
});

for (const [what, damage] of [
  ["cut off", (folder: string) => truncateSync(join(folder, MEMORY_FILE), 5999)],
  ["overwritten in place", (folder: string) => overwrite(join(folder, MEMORY_FILE))],
  ["written to in its state", (folder: string) => appendFileSync(join(folder, STATE_FILE), "x")],
  ["without its state", (folder: string) => rmSync(join(folder, STATE_FILE))],
  ["without a manifest", (folder: string) => rmSync(join(folder, MANIFEST_FILE))],
  ["with half a manifest", (folder: string) => truncateSync(join(folder, MANIFEST_FILE), 100)],
  ["with a manifest of another form", (folder: string) => writeFileSync(join(folder, MANIFEST_FILE), '{"key": 1}')],
] as const) {
  test(`TemplateStore.open serves no template that was ${what}`, async (context) => {
    const { spec, store } = prepare(context);
    const folder = join(store.directory, await plant(store, spec));
    const before = openDescriptors();
    damage(folder);
    assert.equal(store.open(spec), undefined);
    assert.equal(openDescriptors(), before);
    assert.deepEqual(
      store.list().map(({ condition }) => condition),
      ["broken"],
    );
  });
}

function overwrite(path: string): void {
  const fd = openSync(path, "r+");
  writeSync(fd, "X", 10);
  closeSync(fd);
}

test("TemplateStore.open serves no template under another's key", async (context) => {
  const { spec, store } = prepare(context);
  const key = await plant(store, spec);
  const other = { ...spec, vcpus: 2, mostVcpus: 2 };
  renameSync(join(store.directory, key), join(store.directory, keyOf(other)));
  assert.equal(store.open(other), undefined);
});

test("TemplateStore.verify reads the content", async (context) => {
  const { spec, store } = prepare(context);
  const key = await plant(store, spec);
  assert.equal(await store.verify(key), true);
  overwrite(join(store.directory, key, MEMORY_FILE));
  assert.equal(await store.verify(key), false);
  assert.equal(await store.verify("0".repeat(32)), false);
});

test("TemplateStore.list tells what is usable from what went stale, the least recently used first", async (context) => {
  const { spec, store } = prepare(context);
  const older = await plant(store, spec);
  const newer = await plant(store, { ...spec, vcpus: 2, mostVcpus: 2 });
  utimesSync(join(store.directory, older, MANIFEST_FILE), 1000, 1000);
  utimesSync(join(store.directory, newer, MANIFEST_FILE), 2000, 2000);
  assert.deepEqual(
    store.list().map(({ key, condition }) => [key, condition]),
    [
      [older, "usable"],
      [newer, "usable"],
    ],
  );
  store.open(spec)?.close();
  assert.equal(store.list().at(-1)?.key, older);
  assert.ok((store.list()[0]?.bytes ?? 0) >= 11_000);
  appendFileSync(spec.kernel, "!");
  assert.deepEqual(new Set(store.list().map(({ condition }) => condition)), new Set(["stale"]));
});

test("TemplateStore refuses keys that are none", (context) => {
  const { store } = prepare(context);
  for (const key of ["", "..", "../x", "A".repeat(32), "0".repeat(31)]) {
    assert.throws(() => store.remove(key), { code: "CAISSON_E_USAGE" }, key);
  }
});

test("TemplateStore.prepare leaves nothing when the VM cannot be built, and removes what is broken", async (context) => {
  const { folder, spec, store } = prepare(context);
  const broken = await plant(store, spec);
  truncateSync(join(store.directory, broken, MEMORY_FILE), 1);
  mkdirSync(join(store.directory, ".build-abandoned"));
  const before = openDescriptors();
  const building = store.prepare({ ...spec, qemu: { ...spec.qemu, path: join(folder, "kernel") } }, async () => {}, {
    signal: AbortSignal.timeout(120_000),
    limitMs: 60_000,
  });
  await assert.rejects(building, { code: "CAISSON_E_VM_DIED", message: /^cannot save the template/ });
  assert.deepEqual(readdirSync(store.directory), [".lock"]);
  for (let tries = 0; openDescriptors() > before && tries < 3000; tries++) await sleep(10);
  assert.ok(openDescriptors() <= before);
});

test("TemplateStore.prepare says so when there is no room, and keeps the templates there are", async (context) => {
  const { spec, store } = prepare(context);
  const key = await plant(store, spec);
  const building = store.prepare({ ...spec, memoryMib: 2 ** 30 }, async () => {}, {
    signal: AbortSignal.timeout(120_000),
    limitMs: 60_000,
  });
  await assert.rejects(building, { code: "CAISSON_E_TEMPLATE", message: /1073741832 MiB/ });
  assert.deepEqual(
    store.list().map((template) => template.key),
    [key],
  );
});
