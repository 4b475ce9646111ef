import assert from "node:assert/strict";
import { test } from "node:test";
import { GuestClock } from "./clock.ts";

test("GuestClock keeps the narrowest bounds of either way", () => {
  const clock = new GuestClock();
  // The guest is 20 ahead; the ways take 9 and 4, then 3 and 7.
  clock.sent(1000n, 1029n);
  clock.answered(1120n, 1104n);
  clock.sent(2000n, 2023n);
  clock.answered(2120n, 2107n);
  const { aheadLeastNs, aheadMostNs, sentNs } = clock.correction();
  assert.deepEqual([aheadLeastNs, aheadMostNs], [16n, 23n]);
  assert.ok(sentNs > 10n ** 18n);
});
