import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { isAlive, processIdentity } from "./process-identity.ts";

test("processIdentity names this process by default", () => {
  const self = processIdentity();
  assert.equal(self?.pid, process.pid);
  assert.ok(isAlive(self));
});

test("processIdentity is nothing for a process that is not there", () => {
  assert.equal(processIdentity(2 ** 22 + 1), undefined);
});

test("isAlive is false for a zombie", async () => {
  // The shell never waits for its child, which stays a zombie after its end.
  const parent = spawn("sh", ["-c", "sleep 60 & echo $!; exec sleep 60"], { stdio: ["ignore", "pipe", "ignore"] });
  try {
    const [line] = (await once(parent.stdout, "data")) as [Buffer];
    const pid = Number(line.toString());
    const child = processIdentity(pid);
    assert.ok(child);
    process.kill(pid, "SIGKILL");
    while (isAlive(child)) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.match(readFileSync(`/proc/${pid}/stat`, "latin1"), /\) Z /);
    assert.equal(processIdentity(pid), undefined);
  } finally {
    parent.kill("SIGKILL");
    await once(parent, "exit");
  }
});
