import assert from "node:assert/strict";
import { closeSync, mkdtempSync, readFileSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { socketpair } from "../../native/posix/index.ts";
import { ConsoleLog } from "./console.ts";

/** A console, its file, and what a guest does: write all, then end. */
function start(context: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "caisson-console-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const [ours, theirs] = socketpair();
  const path = join(folder, "console.log");
  const log = new ConsoleLog(ours, path);
  const write = async (...texts: string[]) => {
    for (const text of texts) {
      const bytes = Buffer.from(text, "latin1");
      for (let at = 0; at < bytes.length; ) {
        at += writeSync(theirs, bytes, at, Math.min(64 * 1024, bytes.length - at));
        await new Promise(setImmediate);
      }
    }
    closeSync(theirs);
    await log.ended();
  };
  return { log, path, write };
}

test("ConsoleLog keeps what the guest writes in its file", async (context) => {
  const { log, path, write } = start(context);
  await write("one\r\n", "two\r\nthree");
  assert.equal(readFileSync(path, "latin1"), "one\r\ntwo\r\nthree");
  assert.deepEqual(log.lastLines(2), ["two", "three"]);
});

test("ConsoleLog.lastLines strips what could drive a terminal, and bounds lines", async (context) => {
  const { log, write } = start(context);
  await write(`\x1b[31mred\x1b[0m\x07\x00\xff\n\n   \n${"x".repeat(1000)}\n`);
  const [red, long, ...more] = log.lastLines(10);
  assert.equal(red, "red");
  assert.equal(long?.length, 240);
  assert.deepEqual(more, []);
});

test("ConsoleLog bounds its file, and keeps the end", async (context) => {
  const { log, path, write } = start(context);
  const megabytes = Array.from({ length: 40 }, () => `${"y".repeat(99)}\n`.repeat(1000));
  await write(...megabytes, "last words\n");
  assert.ok(statSync(path).size + statSync(`${path}.1`).size <= 1024 * 1024);
  assert.match(readFileSync(`${path}.1`, "latin1"), /^y{99}\n|^y+\n/);
  assert.match(readFileSync(path, "latin1"), /last words\n$/);
  assert.deepEqual(log.lastLines(1), ["last words"]);
});

test("ConsoleLog.findLast returns the last line with the text", async (context) => {
  const { log, write } = start(context);
  await write("Kernel panic: a\nKernel panic: b\nrest\n");
  assert.equal(log.findLast("Kernel panic"), "Kernel panic: b");
  assert.equal(log.findLast("absent"), undefined);
});

test("ConsoleLog closes its descriptor when its file cannot be opened", () => {
  const [ours, theirs] = socketpair();
  assert.throws(() => new ConsoleLog(ours, "/nonexistent/console.log"), { code: "ENOENT" });
  assert.throws(() => closeSync(ours), { code: "EBADF" });
  closeSync(theirs);
});
