import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parsePromises, promiseOf } from "./promises.ts";
import { THINGS } from "./things.ts";

const SPECIFICATION = readFileSync(join(import.meta.dirname, "../../docs/specification.md"), "utf8");

function boundsOf(promised: string, limit = 1) {
  const [row] = parsePromises(`| what | promised | measured |\n|---|---|---|\n| it | ${promised} | |\n`);
  return row?.bounds(limit);
}

test("parsePromises reads figures of every unit", () => {
  assert.deepEqual(boundsOf("3.5 s"), [{ text: "3.5 s", value: 3.5, unit: "s" }]);
  assert.deepEqual(boundsOf("120 MiB"), [{ text: "120 MiB", value: 120, unit: "MiB" }]);
  assert.deepEqual(boundsOf("1 % of one core"), [{ text: "1 %", value: 1, unit: "%" }]);
  assert.deepEqual(boundsOf("5 minutes"), [{ text: "5 minutes", value: 300, unit: "s" }]);
  assert.deepEqual(boundsOf("the machine's own"), []);
});

test("parsePromises: a bound for fast machines holds on those alone, a multiple of the limit on all", () => {
  const text = "0.60 s where the limit is 0.12 s or less; on any machine 5 x the limit";
  assert.deepEqual(boundsOf(text, 0.12), [
    { text: "0.60 s", value: 0.6, unit: "s" },
    { text: "5 x the limit", value: 0.6, unit: "s" },
  ]);
  assert.deepEqual(boundsOf(text, 0.2), [{ text: "5 x the limit", value: 1, unit: "s" }]);
});

test("parsePromises refuses what it cannot judge", () => {
  assert.throws(() => boundsOf("as fast as it can"), /Not a known kind of promise: as fast/);
  assert.throws(() => parsePromises("# Specification\n"), /no table/);
});

test("parsePromises takes the table's rows and no other lines", () => {
  const rows = parsePromises(
    "text\n| what  | promised | measured |\n| - | - | - |\n| a | 1 s | |\n| b | 2 s | 3 |\n\n| what | x |\n",
  );
  assert.deepEqual(
    rows.map(({ what }) => what),
    ["a", "b"],
  );
});

test("promiseOf finds a promise by how it begins, and only if that is plain", () => {
  const promises = parsePromises("| what | promised |\n|-|-|\n| run cold | 1 s |\n| run warm | 2 s |\n");
  assert.equal(promiseOf(promises, "run w").what, "run warm");
  assert.throws(() => promiseOf(promises, "run"), /2 promises on: run/);
  assert.throws(() => promiseOf(promises, "stop"), /0 promises on: stop/);
});

test("the specification's promises are those that the bench measures, in its units", () => {
  const promises = parsePromises(SPECIFICATION);
  for (const { promise, unit } of THINGS) {
    if (promise === undefined) continue;
    for (const bound of promiseOf(promises, promise).bounds(0.1)) assert.equal(bound.unit, unit, promise);
  }
});
