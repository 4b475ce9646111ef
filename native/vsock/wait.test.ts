import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, mkdtempSync, openSync, readdirSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { pipe } from "../posix/index.ts";
import { discardUntilHungUp, PollStream } from "./index.ts";

const NOT_YET = Symbol("not yet");

function settled<T>(promise: Promise<T>, ms: number): Promise<T | typeof NOT_YET> {
  return Promise.race([promise, delay(ms, NOT_YET as typeof NOT_YET)]);
}

describe("PollStream that awaits its host", () => {
  // A FIFO is to its reader what a virtio-serial port is to the guest: after the last writer has closed, it reports a
  // hang-up without end and reads as empty, until someone writes again.
  let folder: string;
  let path: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "caisson-wait-"));
    path = join(folder, "port");
    assert.equal(spawnSync("mkfifo", [path]).status, 0);
  });
  after(() => rmSync(folder, { recursive: true }));

  const openReader = () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const openWriter = () => openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);

  const awaiting = (fd: number) => new PollStream({ fd, keepOpen: true, writable: false, awaitHost: true });

  it("serves one connection after another, and costs nothing in between", async () => {
    const fd = openReader();
    closeSync(openWriter());
    for (const word of ["first", "second", "third"]) {
      const stream = awaiting(fd);
      const data = once(stream, "data");
      const closed = once(stream, "close");
      const before = process.cpuUsage();
      assert.equal(await settled(Promise.race([data, closed]), 500), NOT_YET);
      const spent = process.cpuUsage(before);
      // Some of it is the test runner's.
      assert.ok(spent.user + spent.system < 250_000, `waiting took ${spent.user + spent.system} us of CPU in 500 ms`);
      const writer = openWriter();
      writeSync(writer, word);
      assert.equal(String((await data)[0]), word);
      closeSync(writer);
      await closed;
    }
    closeSync(fd);
  });

  it("leaves nothing watched when it is destroyed", async () => {
    const fd = openReader();
    closeSync(openWriter());
    const before = readdirSync("/proc/self/fd").length;
    const waiting = awaiting(fd);
    waiting.resume();
    assert.equal(await settled(once(waiting, "close"), 20), NOT_YET);
    waiting.destroy();
    await settled(once(waiting, "close"), 30_000);
    assert.equal(readdirSync("/proc/self/fd").length, before);
    closeSync(fd);
  });
});

test("discardUntilHungUp() resolves when the peer is gone, with nothing of what it sent left", async () => {
  const [blocking, write] = pipe();
  const read = openSync(`/proc/self/fd/${blocking}`, constants.O_RDONLY | constants.O_NONBLOCK);
  closeSync(blocking);
  writeSync(write, Buffer.alloc(10_000, "x"));
  const waiting = discardUntilHungUp(read);
  assert.equal(await settled(waiting, 20), NOT_YET);
  writeSync(write, "the last words");
  closeSync(write);
  await waiting;
  assert.equal(readSync(read, Buffer.alloc(10)), 0);
  await discardUntilHungUp(read);
  closeSync(read);
});
