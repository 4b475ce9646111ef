import assert from "node:assert/strict";
import { test } from "node:test";
import { expectation } from "./differences.ts";

test("expectation() binds a difference to the versions of runc that are known to have it", () => {
  assert.equal(expectation("run: a case without a difference", "1.1.5"), "same");
  for (const version of ["1.1.5", "1.1.15"]) assert.equal(expectation("exec: umask", version), "different");
  assert.equal(expectation("run: a mount below /proc", "1.1.5"), "different");
  assert.equal(expectation("run: a mount below /proc", "1.1.15"), "same");
  assert.equal(expectation("exec: umask", "1.3.0"), "either");
});
