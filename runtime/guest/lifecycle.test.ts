import assert from "node:assert/strict";
import { test } from "node:test";
import { type Action, requireAllowed } from "./lifecycle.ts";

const STATES = ["creating", "created", "running", "paused", "stopped"] as const;

function statesOf(action: Action): string[] {
  return STATES.filter((status) => {
    try {
      requireAllowed(action, "c", status);
      return true;
    } catch {
      return false;
    }
  });
}

test("requireAllowed: the states of each action are those of runtime.md, and runc's", () => {
  assert.deepEqual(statesOf("start"), ["created"]);
  for (const action of ["kill", "update", "ps", "stats", "execIgnoringPause"] as const) {
    assert.deepEqual(statesOf(action), ["created", "running", "paused"], action);
  }
  assert.deepEqual(statesOf("exec"), ["created", "running"]);
  assert.deepEqual(statesOf("pause"), ["running"]);
  assert.deepEqual(statesOf("resume"), ["paused"]);
  assert.deepEqual(statesOf("delete"), ["created", "stopped"]);
});

test("requireAllowed says it in runc's words, which engines look for", () => {
  assert.throws(() => requireAllowed("kill", "c", "stopped"), {
    code: "CAISSON_E_STATE",
    message: "container not running",
  });
  assert.throws(() => requireAllowed("delete", "c", "running", { remedy: "Kill it." }), { remedy: "Kill it." });
});
