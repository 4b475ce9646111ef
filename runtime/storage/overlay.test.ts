import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { constants, umount } from "../../native/posix/index.ts";
import type { Mount } from "../../protocol/oci.ts";
import { mountsBelow } from "../state/mounts-below.ts";
import { enterPrivateMountNamespace } from "./mount-namespace.ts";
import { isOverlay, mountOverlay, overlayAsBind, withOverlayPaths } from "./overlay.ts";

const root = process.getuid?.() === 0;
const options = { skip: !root && "needs root" };
const folder = mkdtempSync(join(tmpdir(), "caisson-overlay-"));
before(() => {
  if (root) enterPrivateMountNamespace();
  for (const name of ["one", "t:wo", "upper", "work", "mounts"]) mkdirSync(join(folder, name));
  writeFileSync(join(folder, "one/file"), "one");
  writeFileSync(join(folder, "t:wo/file"), "two");
  writeFileSync(join(folder, "t:wo/other"), "");
});
after(() => {
  for (const target of mountsBelow(folder)) umount(target, constants.MNT_DETACH);
  rmSync(folder, { recursive: true });
});

const overlay = (...more: string[]): Mount => ({ destination: "/m", type: "overlay", options: more });
const LOWER = "lowerdir=one:t\\:wo";

test("mountOverlay mounts on the host, relative directories from the bundle", options, () => {
  const written = overlay(LOWER, "nosuid", `upperdir=${folder}/upper`, "workdir=work");
  const target = mountOverlay(written, 3, join(folder, "mounts"), folder);
  assert.equal(target, join(folder, "mounts/3"));
  assert.equal(readFileSync(join(target, "file"), "utf8"), "one");
  writeFileSync(join(target, "other"), "new");
  assert.deepEqual(readdirSync(join(folder, "upper")), ["other"]);
  assert.equal(statSync(join(folder, "t:wo/other")).size, 0);
  const fixed = mountOverlay(overlay("ro", LOWER), 4, join(folder, "mounts"), folder);
  assert.throws(() => writeFileSync(join(fixed, "x"), ""), { code: "EROFS" });
  assert.equal(existsSync(join(fixed, "other")), true);
});

test("mountOverlay names the mount that failed", options, () => {
  assert.throws(() => mountOverlay(overlay("lowerdir=/not/there"), 5, join(folder, "mounts"), folder), {
    code: "CAISSON_E_STORAGE",
    field: "mounts[5]",
  });
});

test("overlayAsBind leaves the guest what is about the mount", () => {
  const mount = overlay("ro", LOWER, "private", "userxattr", "nosuid");
  assert.deepEqual(overlayAsBind(mount, "/in/guest"), {
    destination: "/m",
    type: "bind",
    source: "/in/guest",
    options: ["bind", "ro", "private", "nosuid"],
  });
  assert.equal(isOverlay(mount), true);
  assert.equal(isOverlay({ ...mount, options: ["bind"] }), false);
});

test("withOverlayPaths changes every directory, and quotes what it must", () => {
  const changed = withOverlayPaths(
    overlay("lowerdir=/a:/b\\:c", "upperdir=/u", "workdir=/w", "index=off"),
    (path) => `/x,${path}`,
  );
  assert.deepEqual(changed.options, [
    "lowerdir=/x\\,/a:/x\\,/b\\:c",
    "upperdir=/x\\,/u",
    "workdir=/x\\,/w",
    "index=off",
  ]);
});
