import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { writePidFile } from "./pid-file.ts";

const folder = mkdtempSync(join(tmpdir(), "pid-file-"));
after(() => rmSync(folder, { recursive: true }));

test("writePidFile replaces a file and leaves nothing beside it", () => {
  const path = join(folder, "pid");
  writeFileSync(path, "1");
  writePidFile(path, 4711);
  assert.equal(readFileSync(path, "utf8"), "4711");
  assert.deepEqual(readdirSync(folder), ["pid"]);
});

test("writePidFile says which file cannot be written where its folder is a file, or its name is too long", () => {
  for (const path of [join(folder, "pid", "below"), join(folder, "x".repeat(255))]) {
    assert.throws(() => writePidFile(path, 1), { code: "CAISSON_E_HOST", message: /cannot write the pid file/ });
  }
});
