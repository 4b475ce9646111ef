/** What `make run` runs: the first thing that anybody sees of this. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { execa } from "execa";

const TOP = join(import.meta.dirname, "../..");
/** The limit: the demo may be the first to boot a VM. */
const LIMIT_MS = 120_000;

test("make run: a container's output, its exit status, and the phases of its start", async () => {
  const command = ["scripts/demo.ts", "sh", "-c", "echo in the guest; exit 7"];
  const { exitCode, stdout, stderr } = await execa(process.execPath, command, {
    cwd: TOP,
    reject: false,
    stdin: "ignore",
    timeout: LIMIT_MS,
  });
  assert.equal(exitCode, 7, stderr);
  assert.match(stdout, /^in the guest$/m);
  assert.match(stdout, /== exit status 7; \d+ ms in all, by phase/);
  assert.match(stdout, /^ {2}at +\d+ ms +\d+\.\d ms {2}caisson: create$/m);
});
