import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { foldersTo, jailFiles, libraryPath } from "./files.ts";

test("libraryPath finds the library in a line of the dynamic linker's", () => {
  assert.deepEqual(libraryPath("\tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f41)"), [
    "/lib/x86_64-linux-gnu/libz.so.1",
  ]);
  assert.deepEqual(libraryPath("\t/lib64/ld-linux-x86-64.so.2 (0x00007f41)"), ["/lib64/ld-linux-x86-64.so.2"]);
  for (const line of ["\tlinux-vdso.so.1 (0x00007ffc)", "\tlibx.so => not found", "QEMU emulator version 7.2.22", ""]) {
    assert.deepEqual(libraryPath(line), [], line);
  }
});

test("foldersTo has each folder on the way to a library, as the symbolic links have it", (t) => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "caisson-jail-files-")));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, "usr/lib/here"), { recursive: true });
  mkdirSync(join(root, "usr/lib64"));
  for (const name of ["lib", "lib64"]) symlinkSync(`usr/${name}`, join(root, name));
  writeFileSync(join(root, "usr/lib/here/ld.so"), "");
  // As Debian's dynamic linker, when libraries are found in /usr/lib and not in /lib.
  symlinkSync("../lib/here/ld.so", join(root, "usr/lib64/ld.so"));
  assert.deepEqual(
    foldersTo(join(root, "lib64/ld.so")),
    ["lib64", "lib/here", "usr/lib/here"].map((folder) => join(root, folder)),
  );
  symlinkSync("round.so", join(root, "lib/round.so"));
  assert.deepEqual(new Set(foldersTo(join(root, "lib/round.so"))), new Set([join(root, "lib")]));
});

test("jailFiles has a program, and the folders of its libraries with and without symbolic links", async () => {
  const files = await jailFiles("/usr/bin/env");
  assert.ok(files.includes("/usr/bin/env"));
  assert.ok(files.some((path) => path.startsWith("/usr/lib/")));
  assert.ok(files.includes("/lib64"));
  assert.equal(new Set(files).size, files.length);
});
