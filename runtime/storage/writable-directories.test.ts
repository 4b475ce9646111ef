import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { WritableDirectories } from "./writable-directories.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-writable-"));
const data = join(folder, "data");
for (const name of ["a/b", "c"]) mkdirSync(join(data, name), { recursive: true });
after(() => rmSync(folder, { recursive: true }));

const sandbox = () => new WritableDirectories(join(folder, "run"));

test("WritableDirectories.add tells of another process's directory, above it and below it as well", () => {
  const one = sandbox();
  const other = sandbox();
  for (const path of ["a", "a", "a/b"]) assert.equal(one.add(join(data, path)).isShared, false);
  assert.equal(other.add(join(data, "c")).isShared, false);
  for (const path of ["a", "a/b", "."]) {
    const added = other.add(join(data, path));
    assert.equal(added.isShared, true, path);
    added.release();
  }
  one.close();
  other.close();
});

test("WritableDirectories forgets what is removed, or closed", () => {
  const [one, other, third] = [sandbox(), sandbox(), sandbox()];
  const added = [one.add(data), one.add(data)];
  added[0]?.release();
  added[0]?.release();
  assert.equal(other.add(data).isShared, true);
  added[1]?.release();
  assert.equal(other.add(data).isShared, false);
  other.close();
  assert.equal(third.add(join(data, "a")).isShared, false);
  one.close();
  third.close();
});
