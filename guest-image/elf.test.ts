import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { neededLibraries } from "./elf.ts";

test("neededLibraries names what a dynamic program asks for", () => {
  const needed = neededLibraries(readFileSync(process.execPath));
  assert.ok(needed.includes("libc.so.6") && needed.includes("libstdc++.so.6"), needed.join());
  assert.ok(needed.every((name) => /^[\w+-]+\.so(\.\d+)*$/.test(name)));
});

test("neededLibraries of a file without a dynamic section is nothing", () => {
  const image = Buffer.alloc(64);
  image.write("\x7fELF\x02\x01", "latin1");
  assert.deepEqual(neededLibraries(image), []);
});

test("neededLibraries refuses a file that is no 64-bit ELF", () => {
  assert.throws(() => neededLibraries(Buffer.from("#!/bin/sh\n")), /not a 64-bit/);
});
