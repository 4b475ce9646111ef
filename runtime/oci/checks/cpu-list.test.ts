import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseCpuList } from "./cpu-list.ts";

test("parseCpuList reads numbers and ranges, sorted and once each", () => {
  assert.deepEqual(parseCpuList("7,0-2, 1"), [0, 1, 2, 7]);
  assert.deepEqual(parseCpuList(""), []);
});

test("parseCpuList refuses what is no list", () => {
  for (const text of ["a", "1-", "-1", "2-1", "1,,2", ",", "1;2", "0-999999"])
    assert.equal(parseCpuList(text), undefined);
});

test("parseCpuList reads any list of numbers back", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(4096)), (cpus) => {
      assert.deepEqual(
        parseCpuList(cpus.join(",")),
        cpus.toSorted((a, b) => a - b),
      );
    }),
  );
});
