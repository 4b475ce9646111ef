import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, test } from "node:test";
import type { LockedPackage } from "./lock.ts";
import { downloadError } from "./packages.ts";

const kmod: LockedPackage = {
  role: "guest",
  name: "kmod",
  version: "34.2-2",
  sha256: "0".repeat(64),
  path: "pool/main/k/kmod/kmod_34.2-2_amd64.deb",
};
const busybox = { ...kmod, name: "busybox", version: "1.37", path: "pool/main/b/busybox/busybox.deb" };
const MIRROR = "http://mirror.test/debian";
const work = mkdtempSync(join(tmpdir(), "caisson-packages-"));
after(() => rmSync(work, { recursive: true }));

test("downloadError names the versions that the mirror has no longer, and what updates the lock", () => {
  const printed = `E: Failed to fetch ${MIRROR}/${kmod.path}  404  Not Found [IP: 192.0.2.1 80]\nE: Download Failed\n`;
  const text = downloadError([kmod, busybox], MIRROR, printed);
  assert.match(text, /has no longer .*: kmod 34\.2-2\. A newer .*make guest-lock.*GUEST_MIRROR/);
});

test("downloadError says what apt said of anything else", () => {
  const printed = `E: Failed to fetch ${MIRROR}/${kmod.path}  Could not connect to mirror.test:80\n`;
  assert.match(downloadError([kmod], MIRROR, printed), /could not be downloaded from .*Could not connect/);
});

/** In a process of its own: the cache is in the folder it runs in. */
function tryDownload(...packages: LockedPackage[]): string {
  const program = `
    import { readdirSync } from "node:fs";
    const { download } = await import(${JSON.stringify(resolve(import.meta.dirname, "packages.ts"))});
    try { console.log(download(${JSON.stringify(packages)}).join()); } catch (error) { console.log(error.message); }
    console.log(readdirSync("out/cache").join());`;
  const env = { ...process.env, GUEST_MIRROR: `file:${work}` };
  return execFileSync(process.execPath, ["--input-type=module", "-e", program], { cwd: work, encoding: "utf8", env });
}

test("download reports what a mirror has no longer, and leaves nothing behind", () => {
  assert.match(tryDownload(kmod), /^file:.* has no longer what .*: kmod 34\.2-2\..*make guest-lock.*\n\n$/);
});

test("download keeps a package whose sum is the lock's, and no other", () => {
  mkdirSync(join(work, "pool/main/b/busybox"), { recursive: true });
  writeFileSync(join(work, busybox.path), "a package");
  assert.match(tryDownload(busybox), /could not be downloaded from .*Hash Sum mismatch.*\n\n$/s);
  const sha256 = createHash("sha256").update("a package").digest("hex");
  assert.equal(tryDownload({ ...busybox, sha256 }), "out/cache/busybox_1.37.deb\nbusybox_1.37.deb\n");
  rmSync(join(work, "pool"), { recursive: true });
  assert.equal(tryDownload({ ...busybox, sha256 }), "out/cache/busybox_1.37.deb\nbusybox_1.37.deb\n");
});
