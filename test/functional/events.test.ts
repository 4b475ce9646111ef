import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { collect, errorOf, Host, until } from "../harness/host.ts";

const host = new Host();
after(() => host[Symbol.asyncDispose]());

test("events --stats prints one reading", async () => {
  using bundle = new Bundle();
  const id = await host.start(bundle);
  const { type, id: named, data } = JSON.parse(await host.ok(["events", "--stats", id]));
  assert.deepEqual({ type, named }, { type: "stats", named: id });
  assert.ok(data.cpu.usage.total > 0);
  assert.ok(data.memory.usage.usage > 0);
  assert.equal(data.pids.current, 1);
  await host.ok(["delete", "-f", id]);
});

test("events prints readings and out-of-memory kills until the container ends", async () => {
  using bundle = new Bundle();
  const id = await host.start(bundle);
  await host.ok(["update", "--memory", "16m", "--memory-swap", "16m", id]);
  const patient = host.spawn(["events", "--interval", "1h", id]);
  const all = collect(patient);
  const child = host.spawn(["events", "--interval", "300ms", id]);
  const ended = collect(child);
  let seen = "";
  child.stdout?.on("data", (text) => {
    seen += text;
  });
  await until(() => seen.includes('"type":"stats"'));
  const hog = await host.run(["exec", id, "sh", "-c", "x=0123456789abcdef; while true; do x=$x$x; done"]);
  assert.equal(hog.exitCode, 137);
  await until(() => seen.includes(`{"type":"oom","id":"${id}"}`));
  // Told when it happens, not with the next reading. The last look was up to a second ago.
  await new Promise((resolve) => setTimeout(resolve, 1500));
  patient.kill("SIGTERM");
  assert.equal((await all).stdout, `{"type":"oom","id":"${id}"}\n`);
  await host.ok(["kill", id, "KILL"]);
  const { exitCode, stderr } = await ended;
  assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: "" });

  const late = await host.run(["events", "--stats", id]);
  assert.equal(late.exitCode, 1);
  assert.match(errorOf(late), new RegExp(`container with id ${id} is not running`));
  await host.ok(["delete", id]);
  assert.deepEqual(await host.remains(), []);
});

test("events --interval is a duration above zero", async () => {
  for (const interval of ["0s", "5", "-1s", "x"]) {
    const result = await host.run(["events", "--interval", interval, "any"]);
    assert.equal(result.exitCode, 1);
    assert.match(errorOf(result), /is no duration above zero/);
  }
});
