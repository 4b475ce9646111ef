import assert from "node:assert/strict";
import { test } from "node:test";
import { LogLimit } from "./log-limit.ts";

test("LogLimit lets a burst through, then its rate, and counts the rest", () => {
  let now = 0;
  const limit = new LogLimit({ burst: 100, rate: 10, total: 1000 }, () => now);
  const admitted = (count: number) => Array.from({ length: count }, () => limit.admit(10)).filter(Boolean).length;
  assert.equal(admitted(25), 10);
  assert.deepEqual(limit.takeDropped(), { records: 15, bytes: 150 });
  assert.equal(limit.takeDropped(), undefined);
  now = 3000;
  assert.equal(admitted(25), 3);
  now = 1_000_000;
  assert.equal(admitted(25), 10);
});

test("LogLimit lets nothing through past its total", () => {
  let now = 0;
  const limit = new LogLimit({ burst: 100, rate: 1000, total: 250 }, () => now);
  let written = 0;
  for (; now < 100_000; now += 1000) if (limit.admit(100)) written += 100;
  assert.equal(written, 200);
  assert.deepEqual(limit.takeDropped(), { records: 98, bytes: 9800 });
  assert.equal(limit.admit(50), true);
});
