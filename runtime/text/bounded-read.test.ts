import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { PIPE_LIMIT_MS, readBounded, TooLarge } from "./bounded-read.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-read-"));
after(() => rmSync(folder, { recursive: true }));
const inFolder = (name: string) => join(folder, name);

function fifo(name: string): string {
  execFileSync("mkfifo", [inFolder(name)]);
  return inFolder(name);
}

test("readBounded reads a file up to its limit, and a file of /proc that tells no size", () => {
  writeFileSync(inFolder("file"), "12345");
  assert.equal(readBounded(inFolder("file"), { bytes: 5 }).toString(), "12345");
  assert.throws(() => readBounded(inFolder("file"), { bytes: 4 }), TooLarge);
  assert.match(readBounded("/proc/self/status", { bytes: 65536 }).toString(), /^Name:/);
});

test("readBounded refuses directories, devices and FIFOs at once unless pipes are welcome", () => {
  mkdirSync(inFolder("directory"));
  const start = performance.now();
  assert.throws(() => readBounded(inFolder("directory"), { bytes: 9, pipes: true }), /it is a directory/);
  assert.throws(() => readBounded("/dev/zero", { bytes: 9 }), /not a regular file/);
  assert.throws(() => readBounded(fifo("unread"), { bytes: 9 }), /not a regular file/);
  assert.ok(performance.now() - start < 1000);
});

test("readBounded reads no more of an endless device than its limit", () => {
  assert.throws(() => readBounded("/dev/zero", { bytes: 1_000_000, pipes: true }), TooLarge);
});

test("readBounded waits for the writer of a FIFO, who may come late and pause", async () => {
  const path = fifo("slow");
  const writer = spawn("sh", ["-c", 'sleep 0.2; exec >"$0"; printf a; sleep 0.2; printf b', path]);
  assert.equal(readBounded(path, { bytes: 9, pipes: true }).toString(), "ab");
  await once(writer, "exit");
});

test("readBounded gives up on a FIFO that nobody writes", () => {
  const start = performance.now();
  assert.throws(
    () => readBounded(fifo("silent"), { bytes: 9, pipes: true }),
    /nobody has written all of it within 10 s/,
  );
  assert.ok(performance.now() - start < PIPE_LIMIT_MS + 2000);
});
