import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { summarise } from "./statistics.ts";

test("summarise takes the middle one of an odd number, and the mean of the middle two of an even one", () => {
  assert.deepEqual(summarise([3, 1, 2]), { minimum: 1, median: 2, maximum: 3, runs: 3 });
  assert.deepEqual(summarise([10, 1, 2, 4]), { minimum: 1, median: 3, maximum: 10, runs: 4 });
  assert.deepEqual(summarise([7]), { minimum: 7, median: 7, maximum: 7, runs: 1 });
});

test("summarise sorts by value, not as text", () => {
  assert.deepEqual(summarise([100, 9, 20]), { minimum: 9, median: 20, maximum: 100, runs: 3 });
});

test("summarise refuses to make figures of nothing", () => {
  assert.throws(() => summarise([]), RangeError);
});

test("summarise: as many samples are above the median as below, whatever their order", () => {
  fc.assert(
    fc.property(fc.array(fc.integer(), { minLength: 1 }), (samples) => {
      const { minimum, median, maximum } = summarise(samples);
      assert.equal(minimum, Math.min(...samples));
      assert.equal(maximum, Math.max(...samples));
      const below = samples.filter((sample) => sample < median).length;
      const above = samples.filter((sample) => sample > median).length;
      assert.ok(below <= samples.length / 2 && above <= samples.length / 2);
      assert.deepEqual(summarise(samples.toReversed()), summarise(samples));
    }),
  );
});
