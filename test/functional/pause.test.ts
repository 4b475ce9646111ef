/** pause and resume. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Bundle } from "../harness/bundle.ts";
import { errorOf, Host, until } from "../harness/host.ts";

const host = new Host();
after(() => host[Symbol.asyncDispose]());

test("pause freezes all processes until resume, and each only when it can", async () => {
  using bundle = new Bundle(["sh", "-c", "while true; do date +%s.%N > /root/beat; sync; sleep 0.1; done"]);
  const id = await host.start(bundle);
  const beat = () => {
    try {
      return readFileSync(join(bundle.rootfs, "root/beat"), "utf8");
    } catch {
      return "";
    }
  };
  await until(() => beat() !== "");
  const early = await host.run(["resume", id]);
  assert.equal(early.exitCode, 1);
  assert.match(errorOf(early), /container not paused/);

  await host.ok(["pause", id]);
  // The guest's kernel may still write back what was written before.
  await sleep(500);
  const frozen = beat();
  await sleep(1500);
  assert.equal(beat(), frozen);
  const twice = await host.run(["pause", id]);
  assert.equal(twice.exitCode, 1);
  assert.match(errorOf(twice), /container already paused/);

  await host.ok(["resume", id]);
  await until(() => beat() !== frozen);
  await host.ok(["delete", "-f", id]);
  assert.deepEqual(await host.remains(), []);
});
