import assert from "node:assert/strict";
import { test } from "node:test";
import { jailFiles, libraryPath } from "./files.ts";

test("libraryPath finds the library in a line of the dynamic linker's", () => {
  assert.deepEqual(libraryPath("\tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f41)"), [
    "/lib/x86_64-linux-gnu/libz.so.1",
  ]);
  assert.deepEqual(libraryPath("\t/lib64/ld-linux-x86-64.so.2 (0x00007f41)"), ["/lib64/ld-linux-x86-64.so.2"]);
  for (const line of ["\tlinux-vdso.so.1 (0x00007ffc)", "\tlibx.so => not found", "QEMU emulator version 7.2.22", ""]) {
    assert.deepEqual(libraryPath(line), [], line);
  }
});

test("jailFiles has a program, and the folders of its libraries with and without symbolic links", async () => {
  const files = await jailFiles("/usr/bin/env");
  assert.ok(files.includes("/usr/bin/env"));
  assert.ok(files.some((path) => path.startsWith("/usr/lib/")));
  assert.ok(files.includes("/lib64"));
  assert.equal(new Set(files).size, files.length);
});
