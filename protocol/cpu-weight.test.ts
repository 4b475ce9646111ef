import assert from "node:assert/strict";
import { test } from "node:test";
import { weightOfShares } from "./cpu-weight.ts";

test("weightOfShares maps the ends and the default of cgroup v1 to those of v2", () => {
  assert.deepEqual([2, 1024, 262144].map(weightOfShares), [1, 100, 10000]);
  assert.ok(weightOfShares(512) > 50 && weightOfShares(512) < 100);
});
