/** A container's end is told whoever does not read, answer or have memory left. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { closeSync, createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, afterEach, test } from "node:test";
import { pipe } from "../../native/posix/index.ts";
import { Bundle } from "../harness/bundle.ts";
import { collect, errorOf, Host, PROGRAM, until } from "../harness/host.ts";
import { DEEDS, intruder } from "../harness/intruder.ts";

const SIGKILL = constants.signals.SIGKILL;

const host = new Host();
const folder = mkdtempSync(join(tmpdir(), "caisson-endings-"));
afterEach(async () => {
  const left = await host.remains();
  await host.clear();
  assert.deepEqual(left, []);
});
after(async () => {
  rmSync(folder, { recursive: true });
  await host[Symbol.asyncDispose]();
});

/** Starts a detached container and returns the end of its output's pipe, which nobody reads yet. */
async function unread(bundle: Bundle, id: string): Promise<number> {
  const [reader, writer] = pipe();
  const args = ["--root", host.root, "run", "--detach", "--bundle", bundle.directory, id];
  // Not a stream of Node's, which would read it once the program has ended.
  const child = spawn(PROGRAM, args, { stdio: ["ignore", writer, "ignore"] });
  closeSync(writer);
  assert.equal(await new Promise((resolve) => child.once("exit", resolve)), 0);
  return reader;
}

test("a reader that does not read hides neither the end of the container nor its last output", async () => {
  using bundle = new Bundle(["sh", "-c", "seq 1 60000"]);
  const id = host.id();
  const reader = await unread(bundle, id);
  await host.stopped(id);
  assert.match(errorOf(await host.run(["kill", id, "KILL"])), /not running/);
  assert.equal(
    await text(createReadStream("", { fd: reader })),
    Array.from({ length: 60_000 }, (_, index) => `${index + 1}\n`).join(""),
  );
  await host.ok(["delete", id]);
});

test("a container whose writer waits for a reader is killed and deleted like any other", async () => {
  using bundle = new Bundle(["yes"]);
  const id = host.id();
  const reader = await unread(bundle, id);
  assert.equal(await host.status(id), "running");
  await host.ok(["kill", id, "KILL"]);
  await host.stopped(id);
  await host.ok(["delete", id]);
  closeSync(reader);
});

/** Why the container was lost, after exit code 255, as both standard error and the log have it. */
async function lossOf(script: string, act: (id: string) => Promise<unknown> = async () => {}): Promise<string> {
  using bundle = intruder(`echo ready; ${script}; exec sleep 100`);
  const id = host.id();
  const log = join(folder, `${id}.log`);
  const child = host.spawn(["--log", log, "run", "--bundle", bundle.directory, id]);
  const ended = collect(child);
  await new Promise((resolve) => child.stdout?.once("data", resolve));
  await act(id);
  const { exitCode, stderr } = await ended;
  assert.equal(exitCode, 255);
  const [line = ""] = /Container \S+ is lost.*/.exec(stderr) ?? [];
  assert.ok(readFileSync(log, "utf8").includes(line.slice(0, 60)), line);
  return line;
}

test("SIGKILL that the guest's agent does not confirm ends the VM, and says so", async () => {
  const loss = await lossOf(DEEDS.stopAgent, async (id) => {
    // The agent is stopped once it does not answer any more.
    await until(async () => (await host.run(["ps", id], { limitMs: 5000 })).exitCode === 128 + SIGKILL);
    await host.ok(["kill", id, "KILL"]);
  });
  assert.match(loss, /the VM was given up: its agent did not confirm SIGKILL/);
});

test("an agent that answers garbage ends the VM, and says so", async () => {
  assert.match(
    await lossOf(DEEDS.answerGarbage),
    /the VM was given up: the agent could not carry out createContainer: /,
  );
});

test("a container that needs more than the VM's memory says so, in its log, its record and its events", async () => {
  const settings = join(folder, "small.toml");
  writeFileSync(settings, "default_memory_mib = 256\nmax_memory_percent = 0\n");
  using bundle = new Bundle(["sh", "-c", "read line; exec tail /dev/zero"]);
  const id = host.id();
  const child = host.spawn(["--config", settings, "run", "--keep", "--bundle", bundle.directory, id]);
  const ended = collect(child);
  await until(async () => (await host.run(["state", id])).stdout.includes('"running"'));
  const events = host.spawn(["events", "--interval", "300ms", id]);
  const watched = collect(events);
  await new Promise((resolve) => events.stdout?.once("data", resolve));
  child.stdin?.end("go\n");
  const result = await ended;
  assert.equal(result.exitCode, 137);
  const sentence = /the VM's memory of 256 MiB is exhausted.*default_memory_mib.*io\.caisson\.memory_mib/;
  assert.match(errorOf(result), sentence);
  const [event = ""] = (await watched).stdout.split("\n").filter((line) => line.includes('"type":"oom"'));
  assert.match(JSON.parse(event).data.reason, sentence);
  assert.match(JSON.parse(readFileSync(join(host.root, id, "state.json"), "utf8")).exitReason, sentence);
  await host.ok(["delete", id]);
});
