import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

const folder = mkdtempSync(join(tmpdir(), "caisson-spawn-"));
after(() => rmSync(folder, { recursive: true }));
const script = join(folder, "program.mjs");
writeFileSync(
  script,
  `import { snapshotMaker } from ${JSON.stringify(join(import.meta.dirname, "spawn.ts"))};
   console.log(typeof snapshotMaker({ snapshot: "on" }));`,
);

/** The type of what a process that is started so is given. */
function makerFor(...starter: string[]): string {
  return execFileSync("env", [...starter, process.execPath, script], { encoding: "utf8" }).trim();
}

test("a snapshot is made for a process that is placed at random alone: others are restored to the same addresses", () => {
  assert.equal(makerFor(), "function");
  assert.equal(makerFor("setarch", "--addr-no-randomize"), "undefined");
});

test("no snapshot is made where no file system is that it could be on, and nothing fails for it", {
  skip: process.getuid?.() !== 0 && "needs root",
}, () => {
  const away = 'for each in /run /dev; do mount -t tmpfs -o size=1m none "$each"; done; exec "$@"';
  assert.equal(makerFor("unshare", "--mount", "sh", "-euc", away, "sh"), "undefined");
});
