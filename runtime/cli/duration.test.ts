import assert from "node:assert/strict";
import { test } from "node:test";
import { durationMs } from "./duration.ts";

for (const [text, ms] of [
  ["5s", 5000],
  ["1m30s", 90_000],
  ["1.5h", 5_400_000],
  [".5s", 500],
  ["250ms", 250],
] as const) {
  test(`durationMs reads ${text}`, () => assert.equal(durationMs(text), ms));
}

for (const text of ["", "5", "s", "0s", "-1s", "5s ", "1d", "1000h", "5 s", "1..5s"]) {
  test(`durationMs refuses "${text}"`, () => assert.throws(() => durationMs(text), { code: "CAISSON_E_USAGE" }));
}
