import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { closeSync, constants, existsSync, openSync, readSync, unlinkSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { DeleteResponse, KillRequest, StateRequest, StateResponse } from "../../protocol/generated/containerd/task.ts";
import { Request } from "../../protocol/generated/containerd/ttrpc.ts";
import { Empty, Status } from "../../protocol/generated/containerd/types.ts";
import { encodeFrame } from "../../runtime/ttrpc/frames.ts";
import { Bundle } from "../harness/bundle.ts";
import { collect, until } from "../harness/host.ts";
import { DEEDS, intruder } from "../harness/intruder.ts";
import { Netns } from "../harness/network.ts";
import { isRunning, qemusOf } from "../harness/qemu.ts";
import { Calls } from "./sandbox-calls.ts";
import { Shim, shimProgram, TASK } from "./shim.ts";

/** How long an end may take to be told: an emulated guest's panic is slow, and so may the machine be. */
const AT_ONCE_MS = 60_000;

const FAULTS = {
  "the guest's kernel panics": DEEDS.panic,
  "the agent is killed with -9": DEEDS.killAgent,
  "the agent answers garbage": DEEDS.answerGarbage,
  "the agent is stopped, and does not confirm SIGKILL": DEEDS.stopAgent,
} as const;

for (const [name, script] of Object.entries(FAULTS)) {
  test(`${name}: every container of the pod ends with 255 and an event, and nothing is left`, async () => {
    using netns = new Netns();
    const before = await netns.settled();
    await using shim = await Shim.start("fault");
    const calls = new Calls(shim);
    await calls.create(netns.path);
    const { pid } = await calls.start();
    const [qemu = assert.fail("the sandbox has no QEMU")] = qemusOf(pid);
    using other = new Bundle();
    using culprit = intruder(`sleep 1; ${script}; sleep 100`);
    await calls.container("other", other, pid);
    await calls.container("culprit", culprit, pid, { own: ["mount"] });
    const start = performance.now();
    if (script === DEEDS.stopAgent) {
      // The agent is stopped once it does not answer any more.
      const answers = () => Promise.race([calls.metrics().then(() => true), delay(5000, false)]);
      await until(async () => !(await answers()));
      const kill = { id: "other", execId: "", signal: 9, all: false };
      await shim.call(TASK, "Kill", KillRequest, kill, Empty);
    }
    const exits = await Promise.all([calls.wait(), calls.exited("other"), calls.exited("culprit")]);
    assert.deepEqual(
      exits.map(({ exitStatus }) => exitStatus),
      [255, 255, 255],
    );
    const ms = performance.now() - start;
    assert.ok(ms < AT_ONCE_MS, `it took ${ms} ms`);
    await until(() => shim.topics.filter((topic) => topic === "/tasks/exit").length === 2);
    await until(() => !isRunning(qemu));
    for (const id of ["other", "culprit"]) await calls.remove(id);
    await calls.shutdown();
    assert.equal(await shim.gone(), true);
    await netns.returnsTo(before);
  });
}

test("delete after a daemon that is dead prints how its container ended, and removes all that it left", async () => {
  using netns = new Netns();
  const before = await netns.settled();
  await using shim = await Shim.start("dead");
  const calls = new Calls(shim);
  await calls.create(netns.path);
  const { pid } = await calls.start();
  const [qemu = 0] = qemusOf(pid);
  assert.notEqual(netns.state, before);
  process.kill(pid, "SIGKILL");
  // Once more for what is gone already: containerd may ask for each container of the pod.
  for (let time = 0; time < 2; time++) {
    const printed = execFileSync(...shimProgram(shim.folder, "dead", "delete"));
    const { exitStatus, pid: dead } = DeleteResponse.decode(printed);
    assert.deepEqual([exitStatus, dead], [255, time === 0 ? pid : 0]);
  }
  assert.equal(existsSync(shim.state), false);
  await until(() => !isRunning(qemu));
  await netns.returnsTo(before);
});

test("an output whose reader goes away goes on with the next one, and nothing is lost", async () => {
  using netns = new Netns();
  await using shim = await Shim.start("reader");
  const calls = new Calls(shim);
  await calls.create(netns.path);
  const { pid } = await calls.start();
  using bundle = new Bundle(["sh", "-c", "seq 1 60000; sleep 1000"]);
  const output = join(shim.folder, "fifo");
  execFileSync("mkfifo", [output]);
  let reader = openSync(output, constants.O_RDONLY | constants.O_NONBLOCK);
  await calls.container("seq", bundle, pid, { output });
  const expected = Array.from({ length: 60_000 }, (_, index) => `${index + 1}\n`).join("");
  let got = "";
  const chunk = Buffer.alloc(30_000);
  for (const end = performance.now() + 120_000; got.length < expected.length && performance.now() < end; ) {
    let count = 0;
    try {
      count = readSync(reader, chunk);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, "EAGAIN");
      await delay(5);
    }
    got += chunk.toString("latin1", 0, count);
    if (count === 0 || Math.random() < 0.7) continue;
    closeSync(reader);
    await delay(50);
    reader = openSync(output, constants.O_RDONLY | constants.O_NONBLOCK);
  }
  closeSync(reader);
  assert.equal(got, expected);
  unlinkSync(output);
  const kill = { id: "seq", execId: "", signal: 9, all: false };
  await shim.call(TASK, "Kill", KillRequest, kill, Empty);
  assert.equal((await calls.exited("seq")).exitStatus, 137);
});

test("a reader comes to the end of an output that the process closes and outlives", async () => {
  using netns = new Netns();
  await using shim = await Shim.start("closes");
  const calls = new Calls(shim);
  await calls.create(netns.path);
  const { pid } = await calls.start();
  using bundle = new Bundle(["sh", "-c", "seq 1 20000; exec >&-; exec sleep 1000"]);
  const output = join(shim.folder, "fifo");
  execFileSync("mkfifo", [output]);
  const reader = collect(spawn("cat", [output]));
  await calls.container("writer", bundle, pid, { output });
  const { stdout } = await reader;
  assert.equal(stdout, Array.from({ length: 20_000 }, (_, index) => `${index + 1}\n`).join(""));
  const { status } = await shim.call(TASK, "State", StateRequest, { id: "writer", execId: "" }, StateResponse);
  assert.equal(status, Status.RUNNING);
  const kill = { id: "writer", execId: "", signal: 9, all: false };
  await shim.call(TASK, "Kill", KillRequest, kill, Empty);
  assert.equal((await calls.exited("writer")).exitStatus, 137);
});

test("a daemon serves on beside clients that never read, send junk, or end in the middle of a frame", async () => {
  await using shim = await Shim.start("hostile");
  const calls = new Calls(shim);
  await calls.create("");
  const ask = Request.encode({
    service: TASK,
    method: "State",
    payload: Buffer.from(StateRequest.encode({ id: "x".repeat(1000), execId: "" }).finish()),
    timeoutNano: 0n,
    metadata: [],
  }).finish();
  const deaf = connect(shim.socket).on("error", () => {});
  deaf.pause();
  for (let call = 0; call < 20_000; call++) {
    deaf.write(encodeFrame({ stream: 2 * call + 1, type: 1, flags: 1, data: Buffer.from(ask) }));
  }
  for (let each = 0; each < 200; each++) {
    const junk = connect(shim.socket).on("error", () => {});
    const bytes = Buffer.from(Array.from({ length: 1 + Math.floor(Math.random() * 300) }, () => Math.random() * 256));
    // Some claim to be longer than they are, some longer than any may be.
    if (each % 2 === 0) bytes[0] = 0;
    junk.resume().end(bytes);
  }
  for (let time = 0; time < 20; time++) {
    assert.equal((await calls.status()).state, "SANDBOX_NOTREADY");
    await delay(20);
  }
  assert.ok(deaf.writableLength > 10_000_000, `${deaf.writableLength} bytes wait: the daemon has taken too many`);
  deaf.destroy();
  await calls.shutdown();
  assert.equal(await shim.gone(), true);
});
