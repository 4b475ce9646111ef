import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readlinkSync } from "node:fs";
import { test } from "node:test";
import { inNewPidNamespace } from "./pid-namespace.ts";

test("inNewPidNamespace starts a child as the first of its namespace, and only that one", {
  skip: process.geteuid?.() !== 0 && "needs root",
}, () => {
  const pidOf = () => spawnSync("sh", ["-c", "echo $$"], { encoding: "utf8" }).stdout.trim();
  assert.equal(inNewPidNamespace(pidOf), "1");
  assert.notEqual(pidOf(), "1");
  assert.throws(() =>
    inNewPidNamespace(() => {
      throw new Error("x");
    }),
  );
  assert.equal(readlinkSync("/proc/self/ns/pid"), readlinkSync("/proc/self/ns/pid_for_children"));
});
