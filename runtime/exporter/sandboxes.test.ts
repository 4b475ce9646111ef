import assert from "node:assert/strict";
import { test } from "node:test";
import type { CaissonError } from "../../protocol/errors.ts";
import { findSandbox, type KnownSandbox, uniqueIds } from "./sandboxes.ts";

function known(id: string, state = id): KnownSandbox {
  return { id, directory: `/r/${state}`, root: "/r", namespace: "", record: { id: state } as KnownSandbox["record"] };
}

const fails = (code: string) => (error: CaissonError) => error.code === code;

test("findSandbox takes an engine's id, the beginning of one, and that of the state", () => {
  const sandboxes = [known("0123456789abcdef", "key1"), known("fedcba9876543210", "key2"), known("web")];
  assert.equal(findSandbox(sandboxes, "0123456789abcdef"), sandboxes[0]);
  assert.equal(findSandbox(sandboxes, "fedcba98"), sandboxes[1]);
  assert.equal(findSandbox(sandboxes, "key2"), sandboxes[1]);
  assert.equal(findSandbox(sandboxes, "web"), sandboxes[2]);
  assert.throws(() => findSandbox(sandboxes, "0123"), fails("CAISSON_E_NOT_FOUND"));
  assert.throws(() => findSandbox([...sandboxes, known("fedcba9800000000")], "fedcba98"), fails("CAISSON_E_USAGE"));
});

test("uniqueIds tells sandboxes of one name apart", () => {
  const sandboxes = [known("a", "k1"), known("a", "k2")];
  assert.deepEqual([...uniqueIds(sandboxes).values()], ["a", "/r/k2"]);
});
