import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { GuestLogFile } from "./log-file.ts";

const folder = mkdtempSync(join(tmpdir(), "guest-log-"));
after(() => rmSync(folder, { recursive: true }));

test("GuestLogFile writes errors at once, and what else there is with them or at the end", () => {
  const path = join(folder, "a.log");
  const file = new GuestLogFile(path);
  file.add("info", "this is sandbox a");
  assert.ok(!existsSync(path), "a start does not wait for it");
  file.add("error", "container-init ended");
  assert.match(readFileSync(path, "utf8"), /^\S+Z info this is sandbox a\n\S+Z error container-init ended\n$/);
  file.add("made up", "x");
  file.close();
  file.close();
  assert.match(readFileSync(path, "utf8"), /Z debug x\n$/);
});

test("GuestLogFile stays bounded, whatever a guest says", () => {
  const path = join(folder, "b.log");
  const file = new GuestLogFile(path);
  for (let record = 0; record < 5000; record++) file.add("error", "y".repeat(1000));
  file.close();
  assert.ok(statSync(path).size + statSync(`${path}.1`).size <= 512 * 1024);
});
