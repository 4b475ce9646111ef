import assert from "node:assert/strict";
import { test } from "node:test";
import { clockAhead } from "./clock.ts";

test("clockAhead is half-way between the narrowest bounds", () => {
  assert.equal(clockAhead(1025n, { sentNs: 1000n, aheadLeastNs: 17n, aheadMostNs: 30n }), 21n);
  assert.equal(clockAhead(1090n, { sentNs: 1000n, aheadLeastNs: 17n, aheadMostNs: 25n }), 21n);
  assert.equal(clockAhead(990n, { sentNs: 1000n, aheadLeastNs: -20n, aheadMostNs: 0n }), -15n);
  assert.equal(clockAhead(1000n, { sentNs: 1000n, aheadLeastNs: -(2n ** 62n), aheadMostNs: 2n ** 62n }), 0n);
});
