import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CaissonError } from "../../protocol/errors.ts";
import { ATTRIBUTE, PROPAGATION, parseMountOptions } from "./mount-options.ts";

const parse = (...options: string[]) => parseMountOptions({ destination: "/m", type: "tmpfs", options }, "mounts[0]");

test("parseMountOptions lets the later option win", () => {
  assert.deepEqual([parse("ro", "rw").set, parse("ro", "rw").clear], [0n, ATTRIBUTE.readonly]);
  assert.deepEqual([parse("rw", "ro").set, parse("rw", "ro").clear], [ATTRIBUTE.readonly, 0n]);
  const { set, clear } = parse("noatime", "strictatime", "nodiratime");
  assert.deepEqual([set, clear], [ATTRIBUTE.strictatime | ATTRIBUTE.nodiratime, ATTRIBUTE.atimeMode & ~0n]);
});

test("parseMountOptions keeps recursive attributes and propagation apart", () => {
  const parsed = parse("rro", "nosuid", "rnoatime", "rslave", "shared");
  assert.equal(parsed.recursiveSet, ATTRIBUTE.readonly | ATTRIBUTE.noatime);
  assert.equal(parsed.set, ATTRIBUTE.nosuid);
  assert.deepEqual(parsed.propagation, [
    { value: PROPAGATION.slave, recursive: true },
    { value: PROPAGATION.shared, recursive: false },
  ]);
});

test("parseMountOptions leaves the rest to the file system, but a bind mount has none", () => {
  assert.deepEqual(parse("size=64k", "sync", "defaults", "noswap", "constructor").data, [
    "size=64k",
    "sync",
    "noswap",
    "constructor",
  ]);
  const bind = (option: string) => parseMountOptions({ destination: "/m", options: ["rbind", option] }, "mounts[0]");
  assert.deepEqual([bind("sync").data, bind("sync").bind, bind("sync").recursiveBind], [[], true, true]);
  assert.throws(() => bind("size=1"), { code: "CAISSON_E_CONFIG_UNSUPPORTED", field: "mounts[0].options" });
});

test("parseMountOptions never asks to set and to clear the same, but for the access-time field", () => {
  const names = [
    "ro",
    "rw",
    "nosuid",
    "suid",
    "nodev",
    "dev",
    "noexec",
    "exec",
    "noatime",
    "atime",
    "relatime",
    "strictatime",
  ];
  const option = fc.constantFrom(...names, ...names.map((name) => `r${name}`), "nosymfollow", "nodiratime", "diratime");
  fc.assert(
    fc.property(fc.array(option), (options) => {
      const { set, clear, recursiveSet, recursiveClear } = parse(...options);
      assert.equal(set & clear & ~ATTRIBUTE.atimeMode, 0n);
      assert.equal(recursiveSet & recursiveClear & ~ATTRIBUTE.atimeMode, 0n);
      // mount_setattr(2): an access-time mode is set only together with clearing the whole field.
      for (const [on, off] of [
        [set, clear],
        [recursiveSet, recursiveClear],
      ] as const) {
        if ((on & ATTRIBUTE.atimeMode) !== 0n) assert.equal(off & ATTRIBUTE.atimeMode, ATTRIBUTE.atimeMode);
      }
    }),
  );
});

test("parseMountOptions takes any strings: options or a CaissonError", () => {
  fc.assert(
    fc.property(fc.array(fc.string()), (options) => {
      try {
        parse(...options);
      } catch (error) {
        assert.ok(error instanceof CaissonError);
      }
    }),
  );
});

test("parseMountOptions passes over an empty option, as mount(8) does", () => {
  assert.deepEqual(parse("", "nosuid", ""), parse("nosuid"));
});
