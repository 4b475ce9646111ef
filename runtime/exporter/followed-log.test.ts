import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { RotatedFile } from "../text/rotated-file.ts";
import { FollowedLog } from "./followed-log.ts";

const folder = mkdtempSync(join(tmpdir(), "followed-log-"));
after(() => rmSync(folder, { recursive: true }));

test("FollowedLog reads what is added, in whole lines, without what drives terminals", () => {
  const path = join(folder, "console.log");
  writeFileSync(path, "before\n");
  using log = new FollowedLog(path);
  assert.deepEqual(log.read(), []);
  appendFileSync(path, "one\ntw");
  assert.deepEqual(log.read(), ["one"]);
  appendFileSync(path, "o\r\n\x1b[31mred\x1b[0m\x07\n");
  assert.deepEqual(log.read(), ["two", "red"]);
});

test("FollowedLog reads on where the log is rotated, and loses nothing", () => {
  const path = join(folder, "rotated.log");
  const file = new RotatedFile(path, 40, { anew: true });
  using log = new FollowedLog(path);
  const written: string[] = [];
  const read: string[] = [];
  for (let line = 0; line < 20; line++) {
    written.push(`line ${line}`);
    file.append(Buffer.from(`line ${line}\n`));
    read.push(...log.read());
  }
  file.close();
  assert.deepEqual(read, written);
});

test("FollowedLog waits for a file that is not there yet, cuts lines that do not end, and knows when the file is gone", () => {
  const path = join(folder, "late.log");
  using log = new FollowedLog(path);
  assert.deepEqual([log.read(), log.isGone], [[], true]);
  writeFileSync(path, "x".repeat(20_000));
  assert.deepEqual(
    log.read().map(({ length }) => length),
    [8192, 8192],
  );
  assert.equal(log.isGone, false);
  rmSync(path);
  assert.deepEqual([log.read(), log.isGone], [[], true]);
});
