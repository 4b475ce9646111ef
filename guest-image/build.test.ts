import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { test } from "node:test";
import type { Manifest } from "./manifest.ts";

const build = () => execFileSync(process.execPath, ["guest-image/build.ts"], { encoding: "utf8" });

test("build does nothing, and says so, when the image is made of the same inputs", () => {
  build();
  const { id, outputs } = JSON.parse(readFileSync("out/image/manifest.json", "utf8")) as Manifest;
  const state = () =>
    outputs.map(({ file }) => statSync(`out/image/${file}`)).map(({ ino, mtimeMs }) => ({ ino, mtimeMs }));
  const before = state();
  assert.match(build(), new RegExp(`is up to date \\(${id.slice(0, 12)}\\)`));
  assert.deepEqual(state(), before);
});
