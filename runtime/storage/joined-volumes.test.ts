import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { constants, hasAttribute, mount, umount } from "../../native/posix/index.ts";
import { JoinedVolumes } from "./joined-volumes.ts";
import { enterPrivateMountNamespace } from "./mount-namespace.ts";
import { Volumes } from "./volumes.ts";

const root = process.getuid?.() === 0;
const options = { skip: !root && "needs root" };
const folder = mkdtempSync(join(tmpdir(), "caisson-joined-"));
const plain = join(folder, "plain");
const listed = join(folder, "listed");
const passing = join(folder, "passing");
const elsewhere = join(folder, "elsewhere");
before(() => {
  for (const path of [plain, listed, passing, elsewhere]) mkdirSync(path);
  if (!root) return;
  enterPrivateMountNamespace();
  mount("none", elsewhere, "tmpfs", 0, null);
  execFileSync("setfacl", ["-m", "u:1234:rwx", listed, elsewhere]);
  execFileSync("setfacl", ["-d", "-m", "u:1234:rwx", passing]);
});
after(() => {
  if (root) umount(elsewhere, constants.MNT_DETACH);
  rmSync(folder, { recursive: true });
});

test("hasAttribute tells of an attribute, and of none where there cannot be one", options, () => {
  assert.equal(hasAttribute(listed, "system.posix_acl_access"), true);
  assert.equal(hasAttribute(plain, "system.posix_acl_access"), false);
  assert.equal(hasAttribute("/proc", "system.posix_acl_access"), false);
  assert.throws(() => hasAttribute(join(folder, "none"), "user.x"), { code: "ENOENT" });
});

test("JoinedVolumes.join takes directories with access lists, of one file system at a time", options, () => {
  const volumes = new JoinedVolumes("auto");
  const join = (directory: string) => volumes.join(directory, "mounts[0].source");
  assert.deepEqual([plain, listed, passing, elsewhere].map(join), [false, true, true, false]);
  volumes.leave();
  assert.equal(join(elsewhere), false);
  volumes.leave();
  assert.equal(join(elsewhere), true);
});

test("JoinedVolumes.join takes all or none where that is set", options, () => {
  const joined = (wanted: "on" | "off") => [plain, listed].map((path) => new JoinedVolumes(wanted).join(path, "field"));
  assert.deepEqual(joined("on"), [true, true]);
  assert.deepEqual(joined("off"), [false, false]);
});

test("Volumes.add has a volume with access lists under a name that tells so", options, () => {
  const shared = join(folder, "shared");
  const volumes = new Volumes(shared);
  const how = { readOnly: false, recursive: true, field: "mounts[0].source" };
  for (const path of [plain, listed, passing]) volumes.add("one", path, how);
  assert.deepEqual(readdirSync(shared).sort(), ["0", "~joined-1", "~joined-2"]);
  volumes.remove("one");
  assert.deepEqual(readdirSync(shared), []);
  volumes.close();
});
