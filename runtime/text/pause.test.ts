import assert from "node:assert/strict";
import { test } from "node:test";
import { pause } from "./pause.ts";

test("pause waits, and may be called again", () => {
  const start = performance.now();
  for (let turn = 0; turn < 2; turn++) pause(10);
  assert.ok(performance.now() - start >= 19);
});
