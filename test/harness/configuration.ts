import assert from "node:assert/strict";
import { CaissonError } from "../../protocol/errors.ts";
import { defaultSpec } from "../../runtime/oci/default-spec.ts";

/** The default configuration with `changes` merged in; an array or scalar replaces what was there. */
export function changed(changes: object): unknown {
  return merge(defaultSpec(), changes);
}

export function merge(base: unknown, changes: unknown): unknown {
  if (!isObject(base) || !isObject(changes)) return changes;
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(changes)) merged[key] = merge(merged[key], value);
  return merged;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The error that `run` throws. */
export function refusal(run: () => unknown): CaissonError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof CaissonError, String(error));
    return error;
  }
  throw new Error("nothing was thrown");
}
