import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nearest } from "./nearest.ts";

const KEYS = ["memory_mib", "vcpus", "kernel", "kernel_params", "log_level"];

test("nearest finds the word behind a typing error", () => {
  assert.equal(nearest("memory_mb", KEYS), "memory_mib");
  assert.equal(nearest("VCPU", KEYS), "vcpus");
  assert.equal(nearest("kernal", KEYS), "kernel");
});

test("nearest gives nothing for another word", () => {
  assert.equal(nearest("bananas", KEYS), undefined);
  assert.equal(nearest("", KEYS), undefined);
});

test("nearest gives a known word for itself", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, selector: (s) => s.toLowerCase() }),
      (words) => {
        for (const word of words) assert.equal(nearest(word, words), word);
      },
    ),
  );
});
