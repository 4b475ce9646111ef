import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzzFrames } from "./frames.ts";

/** The frames that take a second or two; `make fuzz` does more. */
const RUNS = 300;

test("ttrpc connections answer what can be answered, and outlive malformed, oversized and out-of-order frames", async () => {
  let frames = 0;
  for (let seed = 1; seed <= RUNS; seed++) frames += await fuzzFrames(seed);
  assert.ok(frames > 10 * RUNS);
});
