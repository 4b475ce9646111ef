import assert from "node:assert/strict";
import { chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { takeIdMap } from "./mapped-mounts.ts";
import { enterPrivateMountNamespace } from "./mount-namespace.ts";
import { mountRootfs, unmountRootfs } from "./rootfs-mounts.ts";

const root = process.getuid?.() === 0;
const options = { skip: !root && "needs root" };
const folder = mkdtempSync(join(tmpdir(), "caisson-mapped-"));
const rootfs = join(folder, "rootfs");
before(() => {
  if (root) enterPrivateMountNamespace();
  for (const name of ["one", "two", "upper", "work", "rootfs"]) mkdirSync(join(folder, name));
  for (const name of ["one", "two"]) writeFileSync(join(folder, name, name), "");
});
after(() => rmSync(folder, { recursive: true }));

const MAPS = ["uidmap=0:100000:65536", "gidmap=0:200000:10,10:7:1"];

test("takeIdMap takes both maps, with several ranges, and leaves one alone", () => {
  const idMap = { uids: "0 100000 65536\n", gids: "0 200000 10\n10 7 1\n", recursive: false };
  assert.deepEqual(takeIdMap(["ro", ...MAPS, "x=y"]), { idMap, rest: ["ro", "x=y"] });
  assert.deepEqual(takeIdMap(["uidmap=0:1:1"]), { idMap: undefined, rest: ["uidmap=0:1:1"] });
});

test("mountRootfs maps the lower directories of an overlay, and what a bind mount shows", options, () => {
  chownSync(join(folder, "two"), 0, 0);
  chownSync(join(folder, "two/two"), 5, 10);
  const owner = (name: string) => [statSync(join(rootfs, name)).uid, statSync(join(rootfs, name)).gid];
  const lowers = `lowerdir=${join(folder, "one")}:${join(folder, "two")}`;
  const upper = [`upperdir=${join(folder, "upper")}`, `workdir=${join(folder, "work")}`];
  const overlay = { type: "overlay", source: "overlay", target: "", options: [lowers, ...upper, ...MAPS] };
  mountRootfs(rootfs, [overlay]);
  assert.deepEqual(
    [owner("one"), owner("two")],
    [
      [100_000, 200_000],
      [100_005, 7],
    ],
  );
  unmountRootfs(rootfs, [overlay]);
  const bind = { type: "bind", source: join(folder, "two"), target: "", options: ["rbind", "ro", ...MAPS] };
  mountRootfs(rootfs, [bind]);
  assert.deepEqual(owner("two"), [100_005, 7]);
  assert.throws(() => writeFileSync(join(rootfs, "x"), ""), { code: "EROFS" });
  unmountRootfs(rootfs, [bind]);
  const other = { type: "tmpfs", source: "tmpfs", target: "", options: MAPS };
  assert.throws(() => mountRootfs(rootfs, [other]), { code: "CAISSON_E_CONFIG_UNSUPPORTED" });
});
