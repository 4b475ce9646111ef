import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { constants, mount, umount } from "../../native/posix/index.ts";
import { enterPrivateMountNamespace } from "./mount-namespace.ts";
import { Volumes } from "./volumes.ts";

const root = process.getuid?.() === 0;
const options = { skip: !root && "needs root" };
const folder = mkdtempSync(join(tmpdir(), "caisson-volumes-"));
const sources = join(folder, "sources");
const shared = join(folder, "shared");
before(() => {
  if (root) enterPrivateMountNamespace();
  mkdirSync(join(sources, "a/b/c"), { recursive: true });
  mkdirSync(join(sources, "ab"));
  symlinkSync("a/b", join(sources, "link"));
});
after(() => rmSync(folder, { recursive: true }));

const how = (readOnly: boolean, recursive = true) => ({ readOnly, recursive, field: "mounts[0].source" });

test("Volumes.add shares a directory once, and those below it through it", options, () => {
  const volumes = new Volumes(shared);
  const a = volumes.add("one", join(sources, "a"), how(true));
  assert.equal(volumes.add("two", join(sources, "a"), how(true)), a);
  assert.equal(volumes.add("one", join(sources, "link"), how(true)), join(a, "b"));
  assert.notEqual(volumes.add("one", join(sources, "ab"), how(true)), `${a}b`);
  assert.equal(readdirSync(shared).length, 2);
  volumes.remove("one");
  assert.equal(existsSync(join(a, "b")), true);
  volumes.remove("two");
  assert.deepEqual(readdirSync(shared), []);
  assert.equal(existsSync(join(sources, "a/b")), true);
});

test("Volumes.add keeps what is read-only for one container so when another one may write", options, () => {
  const volumes = new Volumes(shared);
  const readOnly = volumes.add("one", join(sources, "a"), how(true));
  const writable = volumes.add("two", join(sources, "a"), how(false));
  writeFileSync(join(writable, "file"), "");
  assert.throws(() => writeFileSync(join(readOnly, "file"), ""), { code: "EROFS" });
  volumes.remove("one");
  volumes.remove("two");
});

test(
  "Volumes.add shares what is mounted below a directory apart, unless the directory was shared with it",
  options,
  () => {
    const inner = join(sources, "a/b");
    mount("none", inner, "tmpfs", 0, null);
    mkdirSync(join(inner, "mounted"));
    const volumes = new Volumes(shared);
    const alone = volumes.add("one", join(sources, "a"), how(false, false));
    assert.equal(existsSync(join(alone, "b/mounted")), false);
    const below = volumes.add("one", inner, how(false, false));
    assert.equal(existsSync(join(below, "mounted")), true);
    const whole = volumes.add("one", join(sources, "a"), how(false));
    assert.equal(volumes.add("one", inner, how(false)), join(whole, "b"));
    volumes.remove("one");
    assert.deepEqual(readdirSync(shared), []);
    umount(inner, constants.MNT_DETACH);
  },
);

test("Volumes.add names the field of what cannot be shared, and leaves nothing", options, () => {
  const volumes = new Volumes(shared);
  const none = join(sources, "file");
  writeFileSync(none, "");
  assert.throws(() => volumes.add("one", none, how(false)), { code: "CAISSON_E_STORAGE", field: "mounts[0].source" });
  assert.deepEqual(readdirSync(shared), []);
});
