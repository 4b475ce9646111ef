import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { formerPath, RotatedFile } from "./rotated-file.ts";

const folder = mkdtempSync(join(tmpdir(), "rotated-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("RotatedFile keeps the end in two files that together stay below the limit", () => {
  const path = join(folder, "a.log");
  const file = new RotatedFile(path, 2000, { anew: true });
  for (let line = 0; line < 1000; line++) {
    file.append(Buffer.from(`line ${String(line).padStart(4, "0")}\n`));
    const both = statSync(path).size + (existsSync(formerPath(path)) ? statSync(formerPath(path)).size : 0);
    assert.ok(both <= 2000, `${both}`);
  }
  file.close();
  const text = readFileSync(formerPath(path), "latin1") + readFileSync(path, "latin1");
  const lines = text.trimEnd().split("\n");
  assert.equal(lines.at(-1), "line 0999");
  assert.equal(lines[0], `line ${String(1000 - lines.length).padStart(4, "0")}`);
  assert.deepEqual(readdirSync(folder).sort(), ["a.log", "a.log.1"]);
});

test("RotatedFile keeps the end of what is longer than a file", () => {
  const path = join(folder, "b.log");
  const file = new RotatedFile(path, 20, { anew: true });
  file.append(Buffer.from("0123456789abcdefghij"));
  assert.equal(readFileSync(path, "latin1"), "abcdefghij");
  file.close();
  file.append(Buffer.from("late"));
  file.close();
});

test("RotatedFile goes on where another one ended, or begins anew", () => {
  const path = join(folder, "c.log");
  for (const word of ["one", "two"]) {
    const file = new RotatedFile(path, 8, { anew: false });
    file.append(Buffer.from(word));
    file.close();
  }
  assert.equal(readFileSync(formerPath(path), "latin1"), "one");
  new RotatedFile(path, 8, { anew: true }).close();
  assert.equal(readFileSync(path, "latin1"), "");
  assert.ok(!existsSync(formerPath(path)));
});

test("RotatedFile survives that its folder is gone", () => {
  const gone = mkdtempSync(join(folder, "gone-"));
  const file = new RotatedFile(join(gone, "d.log"), 8, { anew: true });
  rmSync(gone, { recursive: true });
  file.append(Buffer.from("12345678"));
  file.append(Buffer.from("12345678"));
  file.close();
});
