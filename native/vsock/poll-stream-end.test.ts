/** How a PollStream ends, and what it is to the process and the thread that it is in. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, fstatSync, readdirSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, it, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { readAll, streamPair } from "../../test/harness/stream-pair.ts";
import { socketpair } from "../posix/index.ts";
import { PollStream } from "./index.ts";

const MIB = 1024 * 1024;

const openFds = () => readdirSync("/proc/self/fd").length;

function runScript(script: string): { status: number | null; stdout: string } {
  const source = [
    `import { PollStream } from ${JSON.stringify(join(import.meta.dirname, "index.ts"))};`,
    `import { socketpair } from ${JSON.stringify(join(import.meta.dirname, "../posix/index.ts"))};`,
    script,
  ].join("\n");
  return spawnSync(process.execPath, ["--input-type=module", "--eval", source], { encoding: "utf8", timeout: 60_000 });
}

describe("PollStream over a socket", () => {
  it("half-closes: it still reads after end()", async () => {
    const [here, there] = streamPair({ allowHalfOpen: true }, { allowHalfOpen: true });
    here.end("question");
    assert.equal(String(await readAll(there)), "question");
    assert.ok(!there.writableEnded);
    there.end("answer");
    assert.equal(String(await readAll(here)), "answer");
  });

  it("ends its own side when the peer has ended, unless half-open", async () => {
    const [here, there] = streamPair();
    here.end();
    there.resume();
    here.resume();
    await Promise.all([once(here, "close"), once(there, "close")]);
    assert.ok(there.writableFinished);
  });

  it("reports the end that came together with the last bytes", async () => {
    const [fd, other] = socketpair();
    writeSync(other, "last words");
    closeSync(other);
    assert.equal(String(await readAll(new PollStream({ fd }))), "last words");
  });

  it("fails a write with EPIPE when the peer is gone", async () => {
    const [fd, other] = socketpair();
    const stream = new PollStream({ fd });
    closeSync(other);
    stream.write("to no one");
    const [error] = await once(stream, "error");
    assert.equal(error.code, "EPIPE");
    assert.equal(error.syscall, "write");
    assert.ok(stream.destroyed);
  });

  it("fails a write that waits when the peer closes", async () => {
    const [fd, other] = socketpair();
    const stream = new PollStream({ fd });
    const written = new Promise((resolve) => stream.write(Buffer.alloc(8 * MIB), resolve));
    stream.on("error", () => {});
    await delay(5);
    closeSync(other);
    assert.match(String(((await written) as NodeJS.ErrnoException).code), /^(EPIPE|ECONNRESET)$/);
  });

  it("gives a pending write ECANCELED when it is destroyed", async () => {
    const [here, there] = streamPair();
    const written = new Promise<unknown>((resolve) => here.write(Buffer.alloc(8 * MIB), resolve));
    here.destroy();
    assert.equal(((await written) as NodeJS.ErrnoException).code, "ECANCELED");
    there.destroy();
  });

  it("is destroyed by its signal, before or after it is made", async () => {
    const controller = new AbortController();
    const [here, there] = streamPair({ signal: controller.signal });
    controller.abort();
    assert.equal((await once(here, "error"))[0].name, "AbortError");
    assert.equal(here.fd, -1);
    there.destroy();
    const [late, peer] = streamPair({ signal: AbortSignal.abort() });
    assert.equal((await once(late, "error"))[0].name, "AbortError");
    peer.destroy();
  });

  it("closes its descriptor however it ends", async () => {
    await delay(10);
    const before = openFds();
    for (let i = 0; i < 100; i++) {
      const [here, there] = streamPair();
      // Not once(): that rejects when an error comes first.
      const closed = Promise.all([here, there].map((each) => new Promise<void>((done) => each.once("close", done))));
      here.resume();
      there.resume();
      if (i % 3 === 0) here.end("bye");
      else if (i % 3 === 1) here.destroy();
      else there.on("error", () => {}).destroy(new Error("on purpose"));
      await closed;
    }
    assert.ok(openFds() <= before);
  });

  it("leaves the descriptor open with keepOpen, for another stream to take", async () => {
    const [fd, other] = socketpair();
    for (const word of ["first", "second"]) {
      const stream = new PollStream({ fd, keepOpen: true });
      writeSync(other, word);
      assert.equal(String((await once(stream, "data"))[0]), word);
      stream.destroy();
      await once(stream, "close");
    }
    assert.ok(fstatSync(fd).isSocket());
    closeSync(fd);
    closeSync(other);
  });
});

test("PollStream.unref() lets the process exit, ref() keeps it", () => {
  const script = (calls: string) => `
    const [fd] = socketpair();
    new PollStream({ fd })${calls}.on("data", () => {});
    setTimeout(() => { console.log("alive"); process.exit(3); }, 300).unref();`;
  assert.deepEqual(pick(runScript(script(".unref()"))), { status: 0, stdout: "" });
  assert.deepEqual(pick(runScript(script(".unref().ref()"))), { status: 3, stdout: "alive\n" });
});

test("PollStream survives an exception in a listener, which reaches uncaughtException", () => {
  const result = runScript(`
    process.once("uncaughtException", (error) => { console.log(error.message); here.write("second"); });
    const [one, other] = socketpair();
    const here = new PollStream({ fd: one }), there = new PollStream({ fd: other });
    there.once("data", () => { there.on("data", (data) => { console.log(String(data)); process.exit(0); }); throw new Error("oops"); });
    here.write("first");`);
  assert.deepEqual(pick(result), { status: 0, stdout: "oops\nsecond\n" });
});

test("PollStream works in a worker thread that is terminated", () => {
  const result = runScript(`
    import { Worker } from "node:worker_threads";
    const source = ${JSON.stringify(`
      const { parentPort, workerData } = require("node:worker_threads");
      import(workerData.stream).then(({ PollStream }) => import(workerData.posix).then(({ socketpair }) => {
        const [one, other] = socketpair();
        new PollStream({ fd: one }).on("data", (data) => parentPort.postMessage(String(data)));
        new PollStream({ fd: other }).write("from the worker");
      }));`)};
    const worker = new Worker(source, { eval: true, execArgv: [], workerData: {
      stream: ${JSON.stringify(join(import.meta.dirname, "index.ts"))},
      posix: ${JSON.stringify(join(import.meta.dirname, "../posix/index.ts"))} } });
    worker.once("message", async (message) => { console.log(message, await worker.terminate()); });`);
  assert.deepEqual(pick(result), { status: 0, stdout: "from the worker 1\n" });
});

function pick({ status, stdout }: { status: number | null; stdout: string }) {
  return { status, stdout };
}
