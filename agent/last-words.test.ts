import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

function run(script: string): { status: number | null; stdout: string; stderr: string } {
  const source = `
    const { tellUnhandled } = await import(${JSON.stringify(join(import.meta.dirname, "last-words.ts"))});
    tellUnhandled();
    ${script}`;
  return spawnSync(process.execPath, ["--input-type=module", "--eval", source], { encoding: "utf8" });
}

test("tellUnhandled tells a rejection in one line, and the agent goes on", () => {
  const { status, stdout, stderr } = run(
    `Promise.reject(new Error("gone\\nwrong")); setTimeout(() => console.log("on"), 50);`,
  );
  assert.deepEqual({ status, stdout }, { status: 0, stdout: "on\n" });
  assert.equal(stderr, "agent: an error that nothing handled: gone wrong (CAISSON_E_INTERNAL)\n");
});

test("tellUnhandled tells an exception in one line, and the agent ends", () => {
  const { status, stderr } = run(`setTimeout(() => { throw new Error("gone"); });`);
  assert.equal(status, 1);
  assert.equal(stderr, "agent: the agent cannot go on: gone (CAISSON_E_INTERNAL)\n");
});
