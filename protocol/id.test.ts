import assert from "node:assert/strict";
import { test } from "node:test";
import { CaissonError } from "./errors.ts";
import { checkId, LONGEST_ID } from "./id.ts";

test("checkId takes every id that runc takes, as long as a file name can be", () => {
  const ids = ["a", "_", "A_b+c-d.e", ".hidden", "..x", "...", "+x", "-dash", "a".repeat(LONGEST_ID)];
  for (const id of ids) checkId("container", id);
});

test("checkId refuses all else in a sentence that names the owner and the reason", () => {
  const refusals: [string, RegExp][] = [
    ["", /it is empty/],
    [".", /a directory of its own/],
    ["..", /a directory of its own/],
    ["a/b", /invalid character "\/"/],
    ["~new-1-1", /invalid character "~"/],
    ["a,b", /invalid character ","/],
    ["a b\n", /invalid character " "/],
    ["ä", /invalid character "ä"/],
    ["a".repeat(LONGEST_ID + 1), /it has 256 characters, and at most 255 fit/],
  ];
  for (const [id, reason] of refusals) {
    assert.throws(
      () => checkId("container", id),
      (error) =>
        error instanceof CaissonError &&
        error.code === "CAISSON_E_ID_INVALID" &&
        error.message.startsWith("invalid container ID ") &&
        reason.test(error.message),
      id,
    );
  }
});
