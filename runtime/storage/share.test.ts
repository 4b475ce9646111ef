import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { enterPrivateMountNamespace } from "./mount-namespace.ts";
import { Share } from "./share.ts";

const root = process.getuid?.() === 0;
const options = { skip: !root && "needs root" };
const folder = mkdtempSync(join(tmpdir(), "caisson-share-"));
const bundle = join(folder, "bundle");
const spec = {
  ociVersion: "1.0.2",
  root: { path: "rootfs" },
  mounts: [
    { destination: "/rw", source: join(bundle, "volume"), options: ["bind"] },
    { destination: "/ro", source: join(bundle, "volume"), options: ["bind", "ro"] },
  ],
};
before(() => {
  if (root) enterPrivateMountNamespace();
  for (const name of ["rootfs", "volume"]) mkdirSync(join(bundle, name), { recursive: true });
  writeFileSync(join(bundle, "volume", "file"), "");
});
after(() => rmSync(folder, { recursive: true }));

const add = (share: Share) => share.addContainer("one", spec, bundle, join(bundle, "rootfs"));

test("Share uses no name twice, and leaves nothing of a container that is removed", options, () => {
  const share = new Share(join(folder, "again"));
  const first = add(share);
  share.removeContainer("one");
  const second = add(share);
  assert.notEqual(first.root?.path, second.root?.path);
  assert.notEqual(first.mounts?.[0]?.source, second.mounts?.[0]?.source);
  share.removeContainer("one");
  assert.deepEqual(readdirSync(share.directory), ["~volumes"]);
  assert.equal(existsSync(join(bundle, "volume", "file")), true);
  share.close();
});

test("Share serves its own folders read-only, and mounts as they are to be", options, () => {
  const share = new Share(join(folder, "served"));
  const { root: own, mounts = [] } = add(share);
  const served = (path = "") => join(share.served, path.replace("/run/caisson/share", ""));
  const write = (path: string) => writeFileSync(join(path, "new"), "");
  assert.throws(() => write(share.served), { code: "EROFS" });
  write(served(own?.path));
  write(served(mounts[0]?.source));
  assert.throws(() => write(served(mounts[1]?.source)), { code: "EROFS" });
  share.close();
});
