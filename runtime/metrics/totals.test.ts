import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { emptyHistogram, observe } from "./histogram.ts";
import { beginMonitoring, changeTotals, countFailure, isMonitored, readTotals, rememberFailure } from "./totals.ts";

const directory = mkdtempSync(join(tmpdir(), "totals-"));
after(() => rmSync(directory, { recursive: true }));

test("countFailure and rememberFailure add to what was there, and leave nothing beside it", () => {
  countFailure("CAISSON_E_NOT_FOUND", directory);
  countFailure("CAISSON_E_NOT_FOUND", directory);
  rememberFailure({ sandbox: "c1", code: "CAISSON_E_VM_START", message: "x".repeat(9999) }, directory);
  const { failures, last } = readTotals(directory);
  assert.deepEqual(failures, { CAISSON_E_NOT_FOUND: 2 });
  assert.equal(last?.sandbox, "c1");
  assert.equal(last?.message.length, 2000);
  assert.deepEqual(readdirSync(directory).sort(), ["totals.json", "totals.lock"]);
});

test("readTotals drops what it does not know and what is damaged", () => {
  changeTotals((totals) => {
    const histogram = emptyHistogram();
    observe(histogram, 0.2);
    totals.phases = { vm_ready: histogram, made_up: histogram };
    totals.starts = { forked: 3, ["stork" as "booted"]: 4 };
    totals.failures = { ["CAISSON_E_MADE_UP" as "CAISSON_E_HOST"]: 1 };
  }, directory);
  const { phases, starts, failures } = readTotals(directory);
  assert.deepEqual(Object.keys(phases), ["vm_ready"]);
  assert.deepEqual({ starts, failures }, { starts: { forked: 3 }, failures: {} });
  writeFileSync(join(directory, "totals.json"), "{");
  assert.deepEqual(readTotals(directory), { starts: {}, phases: {}, failures: {} });
  countFailure("CAISSON_E_HOST", directory);
  assert.deepEqual(readTotals(directory).failures, { CAISSON_E_HOST: 1 });
});

test("countFailure gives up where its folder cannot be reached", () => {
  const file = join(directory, "a file");
  writeFileSync(file, "");
  countFailure("CAISSON_E_HOST", join(file, "below"));
  rmSync(file);
});

test("beginMonitoring makes isMonitored true", () => {
  assert.equal(isMonitored(directory), false);
  beginMonitoring(directory);
  assert.equal(isMonitored(directory), true);
});
