import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { closest } from "./closest.ts";

const KEYS = ["memory_mib", "vcpus", "kernel", "kernel_params", "log_level"];

test("closest finds the word behind a typing error", () => {
  assert.equal(closest("memory_mb", KEYS), "memory_mib");
  assert.equal(closest("VCPU", KEYS), "vcpus");
  assert.equal(closest("kernal", KEYS), "kernel");
});

test("closest gives nothing for another word", () => {
  assert.equal(closest("bananas", KEYS), undefined);
  assert.equal(closest("", KEYS), undefined);
});

test("closest gives a known word for itself", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, selector: (s) => s.toLowerCase() }),
      (words) => {
        for (const word of words) assert.equal(closest(word, words), word);
      },
    ),
  );
});
