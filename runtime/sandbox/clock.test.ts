import assert from "node:assert/strict";
import { test } from "node:test";
import { clockCorrection } from "./clock.ts";

test("clockCorrection is what the guest lags behind, whatever the guest did meanwhile", () => {
  // 20 behind, 5 on either way, 100 in between.
  assert.equal(clockCorrection(1000n, { receivedNs: 985n, answeredNs: 1085n }, 1110n), 20n);
  // 20 ahead.
  assert.equal(clockCorrection(1000n, { receivedNs: 1025n, answeredNs: 1125n }, 1110n), -20n);
  // Off by half the difference of the ways, 4 and 6.
  assert.equal(clockCorrection(1000n, { receivedNs: 1004n, answeredNs: 1104n }, 1110n), 1n);
});
