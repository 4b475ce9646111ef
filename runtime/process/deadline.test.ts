import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { deadline } from "./deadline.ts";

test("deadline resolves with the promise's value, and with nothing once the limit has passed", async () => {
  assert.equal(await deadline(Promise.resolve(7), 1000), 7);
  const started = performance.now();
  // Something else keeps the process: the limit's own timer does not.
  const other = delay(100);
  assert.equal(await deadline(new Promise(() => {}), 10), undefined);
  assert.ok(performance.now() - started < 90);
  await other;
});

test("deadline rejects as the promise does", async () => {
  await assert.rejects(deadline(Promise.reject(new Error("lost")), 1000), /lost/);
});
