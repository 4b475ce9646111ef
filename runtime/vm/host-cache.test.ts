import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { bootId, recall, remember } from "./host-cache.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-remembered-"));
after(() => rmSync(folder, { recursive: true }));
const asNumber = (value: unknown) => (typeof value === "number" ? value : undefined);

test("recall returns what was remembered under the same key only", () => {
  const path = join(folder, "made", "fact.json");
  assert.equal(recall(path, "a", asNumber), undefined);
  remember(path, "a", 1);
  assert.equal(recall(path, "a", asNumber), 1);
  assert.equal(recall(path, "b", asNumber), undefined);
  remember(path, "b", 2);
  assert.equal(recall(path, "a", asNumber), undefined);
  assert.deepEqual(readdirSync(join(folder, "made")), ["fact.json"]);
});

test("recall takes a garbled file, or a value that does not parse, for nothing", () => {
  const path = join(folder, "garbled.json");
  for (const text of ["", "null", "[]", '{"key": "a"', '{"key": "a", "value": "x"}']) {
    writeFileSync(path, text);
    assert.equal(recall(path, "a", asNumber), undefined, text);
  }
});

test("remember does without where it cannot write", () => {
  remember("/dev/null/fact.json", "a", 1);
});

test("bootId names this boot", () => {
  assert.match(bootId(), /^[0-9a-f-]{36}$/);
  assert.equal(bootId(), bootId());
});
