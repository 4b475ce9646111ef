import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

const folder = mkdtempSync(join(tmpdir(), "caisson-stderr-"));
after(() => rmSync(folder, { recursive: true }));

test("in a file that others write to as well, each line is where it was written", () => {
  const path = join(folder, "log");
  const file = openSync(path, "w");
  const program = `import { printError } from "${import.meta.dirname}/stderr.ts";
    import { writeSync } from "node:fs";
    writeSync(1, "one\\n"); printError("two\\n"); writeSync(1, "three\\n");`;
  const words = ["--input-type=module", "--eval", program];
  const child = spawnSync(process.execPath, words, { stdio: ["ignore", file, file] });
  closeSync(file);
  assert.equal(child.status, 0);
  assert.equal(readFileSync(path, "utf8"), "one\ntwo\nthree\n");
});

test("a pipe that nobody reads keeps nobody for longer than a moment", () => {
  const program = `import { printError } from "${import.meta.dirname}/stderr.ts";
    const began = Date.now();
    printError("x".repeat(200000) + "\\n");
    process.exit(Date.now() - began < 5000 ? 0 : 1);`;
  const line = `"$0" --input-type=module --eval "$1" 2>&1 >/dev/null | sleep 1; exit \${PIPESTATUS[0]}`;
  const child = spawnSync("/bin/bash", ["-c", line, process.execPath, program]);
  assert.equal(child.status, 0);
});
