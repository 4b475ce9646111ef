import assert from "node:assert/strict";
import { existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { discardUnfinished } from "./discard-unfinished.ts";

test("discardUnfinished removes files and folders, and takes what cannot be reached as gone", () => {
  const folder = mkdtempSync(join(tmpdir(), "discard-"));
  const file = join(folder, "file");
  writeFileSync(file, "");
  discardUnfinished(join(file, "below a file"));
  discardUnfinished(join(folder, "x".repeat(300)));
  assert.equal(existsSync(file), true);
  discardUnfinished(file);
  assert.equal(existsSync(file), false);
  discardUnfinished(folder);
  assert.equal(existsSync(folder), false);
});
