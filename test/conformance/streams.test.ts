import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { until } from "../harness/host.ts";
import { sameAnswer } from "./compare.ts";
import { Pair, runcMissing } from "./pair.ts";

/** Ends neither by itself nor by the end of its streams. */
const CLOSES_AND_STAYS = ["sh", "-c", "echo out; echo err >&2; exec >&- 2>&-; exec sleep 1000"];

test("a reader sees the end of a detached process's output when that closes it", { skip: runcMissing() }, async () => {
  await using pair = new Pair();
  using bundle = new Bundle(CLOSES_AND_STAYS);
  const id = pair.id();
  // Each answer is waited for until both its pipes have ended.
  const started = await pair.run(["run", "--detach", "--bundle", bundle.directory, id]);
  sameAnswer("a container that closes its output", started);
  assert.deepEqual([started.caisson.stdout, started.caisson.stderr], ["out\n", "err\n"]);
  assert.equal(await pair.host.status(id), "running");

  const added = await pair.run(["exec", "--detach", id, ...CLOSES_AND_STAYS]);
  sameAnswer("a process that closes its output", added);
  assert.deepEqual([added.caisson.stdout, added.caisson.stderr], ["out\n", "err\n"]);

  const pidFile = join(bundle.directory, "pid");
  const kept = await pair.host.run(["exec", "--detach", "--pid-file", pidFile, id, ...CLOSES_AND_STAYS]);
  assert.deepEqual(kept, { exitCode: 0, stdout: "out\n", stderr: "err\n" });
  assert.equal((await pair.host.pids(id)).length, 3);
});

test("one of two streams ends alone", async () => {
  await using pair = new Pair();
  using bundle = new Bundle([
    "sh",
    "-c",
    "trap 'echo out; exit' TERM; echo err >&2; exec 2>&-; while true; do sleep 1; done",
  ]);
  const id = pair.id();
  const child = pair.host.spawn(["run", "--detach", "--bundle", bundle.directory, id]);
  let output = "";
  child.stdout?.on("data", (text) => {
    output += text;
  });
  const ended = new Promise((resolve) => child.stdout?.once("end", resolve));
  const errorsEnded = new Promise((resolve) => child.stderr?.once("end", resolve));
  child.stderr?.resume();
  await errorsEnded;
  await until(async () => (await pair.host.status(id)) === "running");
  await pair.host.ok(["kill", id, "TERM"]);
  await ended;
  assert.equal(output, "out\n");
});
