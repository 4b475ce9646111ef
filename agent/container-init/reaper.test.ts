import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { spawnProgram } from "../../native/posix/index.ts";
import { reapSoon } from "./reaper.ts";

test("reapSoon forgets children once they have ended, also those that take longer", async () => {
  const children = ["0", "1.5"].map((seconds) => spawnProgram(["/bin/sleep", seconds], [0, 1, 2]));
  for (const pid of children) reapSoon(pid);
  for (const pid of children) {
    for (let tries = 0; existsSync(`/proc/${pid}`); tries++) {
      assert.ok(tries < 100, `process ${pid} is still there`);
      await delay(50);
    }
  }
});
