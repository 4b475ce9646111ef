import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { selectModules } from "./kernel-modules.ts";
import { loadOrder, moduleName, parseLoadRules, parseModuleIndex, renderLoadList } from "./modules.ts";

const index = parseModuleIndex({
  dep: [
    "kernel/drivers/virtio/virtio_ring.ko:",
    "kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio_ring.ko",
    "kernel/drivers/block/virtio_blk.ko.xz: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko",
    "kernel/lib/libcrc32c.ko:",
    "kernel/arch/x86/crypto/crc32c-intel.ko:",
    "kernel/crypto/crc32c_generic.ko:",
    "kernel/fs/erofs/erofs.ko: kernel/lib/libcrc32c.ko",
    "kernel/a.ko:",
    "kernel/b.ko:",
  ].join("\n"),
  softdep:
    "# Soft dependencies\nsoftdep libcrc32c pre: crc32c\nsoftdep a pre: b post: virtio\nsoftdep b pre: a nothing-has-this\n",
  alias: "alias crc32c crc32c_intel\nalias crc32c crc32c_generic\nalias fs-erofs erofs\n",
  builtin: "kernel/lib/zlib-deflate.ko\n",
});

test("moduleName drops folder and suffixes, and writes underscores", () => {
  assert.equal(moduleName("kernel/arch/x86/crypto/crc32c-intel.ko.xz"), "crc32c_intel");
});

test("loadOrder puts dependencies first, the deepest first of all", () => {
  assert.deepEqual(loadOrder(index, ["virtio_blk"]), ["virtio_ring", "virtio", "virtio_blk"]);
});

test("loadOrder follows soft dependencies of dependencies through aliases", () => {
  assert.deepEqual(loadOrder(index, ["erofs"]), ["crc32c_intel", "crc32c_generic", "libcrc32c", "erofs"]);
});

test("loadOrder leaves out what is built in and accepts hyphens", () => {
  assert.deepEqual(loadOrder(index, ["zlib-deflate", "crc32c-intel"]), ["crc32c_intel"]);
});

test("loadOrder ends for circular soft dependencies, and ignores post ones and those nothing answers to", () => {
  assert.deepEqual(loadOrder(index, ["a"]), ["b", "a"]);
});

test("loadOrder refuses a name that the kernel does not know", () => {
  assert.throws(() => loadOrder(index, ["floppy"]), /no module floppy/);
});

test("loadOrder names every module once and after all it depends on, whatever is asked for", () => {
  fc.assert(
    fc.property(fc.subarray([...index.paths.keys()]), (names) => {
      const order = loadOrder(index, names);
      assert.equal(new Set(order).size, order.length);
      for (const name of order) {
        for (const need of index.depends.get(name) ?? []) assert.ok(order.indexOf(need) < order.indexOf(name));
      }
      assert.ok(names.every((name) => order.includes(name)));
    }),
  );
});

test("renderLoadList writes a condition and paths a line", () => {
  const rules = parseLoadRules("# comment\nvirtio:2  virtio_blk\n\nalways erofs # why\n");
  assert.equal(
    renderLoadList(rules, index, (name) => `/m/${name}.ko`),
    "virtio:2 /m/virtio_ring.ko /m/virtio.ko /m/virtio_blk.ko\n" +
      "always /m/crc32c_intel.ko /m/crc32c_generic.ko /m/libcrc32c.ko /m/erofs.ko\n",
  );
});

test("renderLoadList leaves a setting as it is", () => {
  const rules = parseLoadRules("always erofs\nvirtio:8 /sys/module/a/parameters/b=c\n");
  assert.deepEqual(
    rules.flatMap((rule) => rule.modules),
    ["erofs"],
  );
  const [, line] = renderLoadList(rules, index, (name) => name).split("\n");
  assert.equal(line, "virtio:8 /sys/module/a/parameters/b=c");
});

for (const [line, reason] of [
  ["always", /not "CONDITION MODULE/],
  ["virtio:net virtio_net", /condition "virtio:net"/],
  ["path:sys erofs", /condition "path:sys"/],
  ["always b=c", /not "CONDITION FILE=VALUE"/],
  ["always erofs /sys/b=c", /not "CONDITION FILE=VALUE"/],
] as const) {
  test(`parseLoadRules refuses "${line}"`, () => {
    assert.throws(() => parseLoadRules(line), reason);
  });
}

test("selectModules takes names and whole folders, and tells what this kernel does not have", () => {
  const { selected, absent } = selectModules(
    index,
    "kernel/drivers/\nlibcrc32c # a module\nzlib_deflate\nnope\nkernel/none/\n",
  );
  assert.deepEqual(selected, ["virtio_ring", "virtio", "virtio_blk", "crc32c_intel", "crc32c_generic", "libcrc32c"]);
  assert.deepEqual(absent, ["nope", "kernel/none/"]);
});
