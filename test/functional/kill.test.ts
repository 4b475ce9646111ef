import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { collect, errorOf, Host, until } from "../harness/host.ts";

const host = new Host();
after(() => host[Symbol.asyncDispose]());

/** Prints the name of every signal it gets; 34 is SIGRTMIN. */
const LISTENER = [
  'for s in HUP INT TERM USR1 34 37; do trap "echo got $s" $s; done',
  "echo ready",
  "while true; do sleep 1000 & wait; done",
].join("\n");

test("kill sends what it is asked to, by name or number, and SIGTERM by default", async () => {
  using bundle = new Bundle(["sh", "-c", LISTENER]);
  const id = host.id();
  const child = host.spawn(["run", "-b", bundle.directory, id]);
  const ended = collect(child);
  let seen = "";
  child.stdout?.on("data", (text) => {
    seen += text;
  });
  await until(() => seen.includes("ready"));
  for (const [args, shown] of [
    [[], "TERM"],
    [["HUP"], "HUP"],
    [["SIGINT"], "INT"],
    [["sigusr1"], "USR1"],
    [["15"], "TERM"],
    [["RTMIN"], "34"],
    [["SIGRTMIN+3"], "37"],
  ] as const) {
    seen = "";
    await host.ok(["kill", id, ...args]);
    await until(() => seen.includes(`got ${shown}\n`));
  }
  await host.ok(["kill", id, "0"]);

  const unknown = await host.run(["kill", id, "NOPE"]);
  assert.equal(unknown.exitCode, 1);
  assert.match(errorOf(unknown), /unknown signal "NOPE"/);

  await host.ok(["kill", id, "9"]);
  assert.equal((await ended).exitCode, 137);
  assert.deepEqual(await host.remains(), []);
});

test("a signal to the OCI pid is the container's", async () => {
  using bundle = new Bundle(["sh", "-c", "trap 'exit 5' USR1; sleep 1000 & wait"]);
  const id = host.id();
  const child = host.spawn(["run", "-b", bundle.directory, id]);
  const ended = collect(child);
  await until(async () => (await host.run(["state", id])).stdout.includes('"running"'));
  await until(async () => (await host.pids(id)).length === 2);
  process.kill(JSON.parse(await host.ok(["state", id])).pid, "SIGUSR1");
  assert.equal((await ended).exitCode, 5);
  assert.deepEqual(await host.remains(), []);
});

test("kill --all reaches every process, and a stopped container none", async () => {
  using bundle = new Bundle([
    "sh",
    "-c",
    "trap '' USR1; sleep 1000 & sleep 1001 & sleep 1002 & trap 'exit 6' USR2; wait; wait",
  ]);
  const id = await host.start(bundle);
  await until(async () => (await host.pids(id)).length === 4);
  await host.ok(["kill", "--all", id, "USR2"]);
  await host.stopped(id);
  const late = await host.run(["kill", id]);
  assert.equal(late.exitCode, 1);
  assert.match(errorOf(late), /container not running/);
  await host.ok(["delete", id]);
  assert.deepEqual(await host.remains(), []);
});
