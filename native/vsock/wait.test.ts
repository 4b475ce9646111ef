import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, mkdtempSync, openSync, readdirSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { pipe, recvFd, sendFd, socketpair } from "../posix/index.ts";
import { discardUntilHungUp, PollStream, waitForHost, waitReadable } from "./index.ts";

const NOT_YET = Symbol("not yet");

function settled<T>(promise: Promise<T>, ms: number): Promise<T | typeof NOT_YET> {
  return Promise.race([promise, delay(ms, NOT_YET as typeof NOT_YET)]);
}

describe("waitForHost()", () => {
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

  it("serves one connection after another, and costs nothing in between", async () => {
    const fd = openReader();
    for (const word of ["first", "second", "third"]) {
      const writer = openWriter();
      writeSync(writer, word);
      await waitForHost(fd);
      const stream = new PollStream({ fd, keepOpen: true, writable: false });
      assert.equal(String((await once(stream, "data"))[0]), word);
      closeSync(writer);
      await once(stream, "close");

      const abort = new AbortController();
      const waiting = waitForHost(fd, abort.signal);
      waiting.catch(() => {});
      const before = process.cpuUsage();
      assert.equal(await settled(waiting, 100), NOT_YET);
      const spent = process.cpuUsage(before);
      assert.ok(spent.user + spent.system < 50_000, `waiting took ${spent.user + spent.system} us of CPU in 100 ms`);
      abort.abort();
      await assert.rejects(waiting, { name: "AbortError" });
    }
    closeSync(fd);
  });

  it("is woken by the host, not by a timer", async () => {
    const fd = openReader();
    closeSync(openWriter());
    const waiting = waitForHost(fd);
    assert.equal(await settled(waiting, 50), NOT_YET);
    const writer = openWriter();
    writeSync(writer, "x");
    assert.equal(await settled(waiting, 1000), undefined);
    closeSync(writer);
    closeSync(fd);
  });

  it("leaves nothing watched when it is aborted", async () => {
    const fd = openReader();
    closeSync(openWriter());
    const before = readdirSync("/proc/self/fd").length;
    await assert.rejects(waitForHost(fd, AbortSignal.abort(new Error("enough"))), { message: "enough" });
    await assert.rejects(waitForHost(fd, AbortSignal.timeout(10)), { name: "TimeoutError" });
    const stream = new PollStream({ fd, writable: false });
    stream.resume();
    await once(stream, "close");
    assert.equal(readdirSync("/proc/self/fd").length, before - 1);
  });
});

test("waitReadable() resolves when there is something to take", async () => {
  const [here, there] = socketpair();
  const [read, write] = pipe();
  const waiting = waitReadable(there);
  assert.equal(await settled(waiting, 20), NOT_YET);
  sendFd(here, write, Buffer.from("stdout"));
  await waiting;
  const { fd, data } = recvFd(there);
  assert.equal(String(data), "stdout");
  for (const each of [here, there, read, write, fd]) closeSync(each);
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
