import assert from "node:assert/strict";
import { closeSync, readSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { socketpair } from "../../native/posix/index.ts";
import { LeashedQemu } from "./leash.ts";
import { Inheritance, spawnLeashed } from "./spawn.ts";

const needsRoot = process.getuid?.() === 0 ? false : "dropping capabilities needs root";

/** Any program will do for QEMU. */
async function leashed(program: string, ...words: string[]): Promise<LeashedQemu> {
  const inheritance = new Inheritance();
  const leash = inheritance.connect();
  const [stderr, theirs] = socketpair();
  const ends = { leash: leash.child, stderr: theirs };
  const leashPid = spawnLeashed(program, words, inheritance.descriptors, ends);
  inheritance.closeGiven();
  closeSync(theirs);
  const qemu = new LeashedQemu({ leash: leash.ours, stderr, leashPid });
  await qemu.started;
  return qemu;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test("LeashedQemu tells the pid and how the program ended", { skip: needsRoot }, async () => {
  const qemu = await leashed("/bin/sh", "-c", "echo complaint >&2; exit 7");
  let said = "";
  qemu.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  assert.ok(qemu.pid > 0);
  assert.deepEqual(await qemu.ended, { exitCode: 7 });
  for (const end = performance.now() + 60_000; said === "" && performance.now() < end; ) await delay(5);
  assert.equal(said, "complaint\n");
});

test("LeashedQemu.kill ends it, and a signal of another's is told", { skip: needsRoot }, async () => {
  const qemu = await leashed("/bin/sleep", "1000");
  qemu.stderr.resume();
  qemu.kill();
  assert.deepEqual(await qemu.ended, { signal: "SIGKILL" });
  assert.ok(!isAlive(qemu.pid));

  const other = await leashed("/bin/sleep", "1000");
  other.stderr.resume();
  process.kill(other.pid, "SIGTERM");
  assert.deepEqual(await other.ended, { signal: "SIGTERM" });
});

test("a leash that nobody holds any more ends the program", { skip: needsRoot }, async () => {
  const inheritance = new Inheritance();
  const leash = inheritance.connect();
  const [stderr, theirs] = socketpair();
  spawnLeashed("/bin/sleep", ["1000"], inheritance.descriptors, { leash: leash.child, stderr: theirs });
  inheritance.closeGiven();
  closeSync(theirs);
  const buffer = Buffer.alloc(32);
  const pid = Number(buffer.subarray(0, readSync(leash.ours, buffer)).toString().split(" ")[1]);
  assert.ok(isAlive(pid));
  closeSync(leash.ours);
  for (const end = performance.now() + 60_000; isAlive(pid) && performance.now() < end; ) await delay(5);
  assert.ok(!isAlive(pid));
  closeSync(stderr);
});

test("LeashedQemu says what could not be started", { skip: needsRoot }, async () => {
  const qemu = await leashed("/nonexistent/qemu");
  qemu.stderr.resume();
  assert.notEqual((await qemu.ended).exitCode, 0);
});
