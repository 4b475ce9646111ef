import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { startPlaceholder } from "./placeholder.ts";

test("startPlaceholder() starts a process of its own that does nothing, and ends and is reaped with its connection", async () => {
  const { pid, connection, ended } = startPlaceholder();
  assert.equal(readFileSync(`/proc/${pid}/comm`, "utf8"), "placeholder\n");
  connection.destroy();
  assert.deepEqual(await ended, { exitCode: 0 });
  assert.equal(existsSync(`/proc/${pid}`), false);
});

test("startPlaceholder()'s process may be killed by others, and is reaped", async () => {
  const { pid, ended } = startPlaceholder();
  process.kill(pid, "SIGKILL");
  assert.deepEqual(await ended, { signal: 9 });
});
