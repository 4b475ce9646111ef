import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, test } from "node:test";
import { imageId, isUpToDate, type Manifest } from "./manifest.ts";

const inputs = [
  { name: "debian/kmod", version: "30", sha256: "aa" },
  { name: "caisson/agent.cjs", version: "0.1.0", sha256: "bb" },
];
const manifest: Manifest = {
  format: 1,
  id: imageId(inputs),
  kernelRelease: "6.1.0-1-amd64",
  inputs,
  outputs: [{ file: "root.erofs", bytes: 4, sha256: "cc" }],
  absentModules: [],
};
let folder = "";

beforeEach((context) => {
  folder = mkdtempSync(join(tmpdir(), "caisson-manifest-"));
  (context as import("node:test").TestContext).after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "root.erofs"), "root");
  writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
});

test("imageId does not depend on the order of the inputs, but on each name, version and sum", () => {
  assert.equal(imageId(inputs.toReversed()), imageId(inputs));
  const ids = [{ name: "x" }, { version: "31" }, { sha256: "ab" }].map((change) =>
    imageId(inputs.map((input, index) => (index === 0 ? { ...input, ...change } : input))),
  );
  assert.equal(new Set([...ids, imageId(inputs)]).size, 4);
});

test("isUpToDate is true for a whole image of the same inputs", () => {
  assert.equal(isUpToDate(folder, manifest.id), true);
});

test("isUpToDate is false for other inputs", () => {
  assert.equal(isUpToDate(folder, imageId(inputs.slice(1))), false);
});

test("isUpToDate is false when an output is missing or cut short", () => {
  writeFileSync(join(folder, "root.erofs"), "ro");
  assert.equal(isUpToDate(folder, manifest.id), false);
  rmSync(join(folder, "root.erofs"));
  assert.equal(isUpToDate(folder, manifest.id), false);
});

test("isUpToDate is false for a manifest that is missing, broken or of another format", () => {
  writeFileSync(join(folder, "manifest.json"), JSON.stringify({ ...manifest, format: 2 }));
  assert.equal(isUpToDate(folder, manifest.id), false);
  writeFileSync(join(folder, "manifest.json"), '{"format": 1, "id');
  assert.equal(isUpToDate(folder, manifest.id), false);
  rmSync(join(folder, "manifest.json"));
  assert.equal(isUpToDate(folder, manifest.id), false);
});
