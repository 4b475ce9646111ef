import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

/** Built by `make native-tests`. */
const TRIAL = join(import.meta.dirname, "../../out/native/test/share-rights-trial");

test("share-rights flushes each root file system and each joined volume in a share, whatever else is there", () => {
  const share = realpathSync(mkdtempSync(join(tmpdir(), "caisson-share-")));
  try {
    for (const folder of ["one/~rootfs/~rootfs", "two/~rootfs", "none/mounts", "~volumes/0", "~volumes/~joined-1"]) {
      mkdirSync(join(share, folder), { recursive: true });
    }
    writeFileSync(join(share, "file"), "");
    mkdirSync(join(share, "linked"));
    symlinkSync("/", join(share, "linked/~rootfs"));
    symlinkSync("one", join(share, "also"));
    const lines = execFileSync(TRIAL, [share], { encoding: "utf8" }).trimEnd().split("\n");
    const joined = ["one/~rootfs", "two/~rootfs", "~volumes/~joined-1"].map((name) => join(share, name));
    const [, , , first, , , , second] = lines;
    assert.deepEqual([first, second], ["0 ", "-1 EIO"]);
    for (const from of [0, 4]) assert.deepEqual(lines.slice(from, from + 3).sort(), joined);
    assert.equal(lines.length, 8);
  } finally {
    rmSync(share, { recursive: true });
  }
});

test("share-rights makes files without names for virtiofsd, which looks them up", () => {
  const folder = mkdtempSync(join(tmpdir(), "caisson-temporary-"));
  try {
    const lines = execFileSync(TRIAL, ["temporary", folder], { encoding: "utf8" });
    assert.equal(lines, "1\n0\n-1\n1 -1\n");
    assert.deepEqual(readdirSync(folder), ["linked"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
