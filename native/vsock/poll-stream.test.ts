import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, fstatSync, openSync, readdirSync, readSync, writeSync } from "node:fs";
import { connect as connectHttp2, createServer as createHttp2Server } from "node:http2";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { describe, it, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { pipe, socketpair } from "../posix/index.ts";
import { PollStream, type PollStreamOptions } from "./index.ts";

const MIB = 1024 * 1024;

type Options = Omit<PollStreamOptions, "fd">;

function streamPair(first: Options = {}, second: Options = {}): [PollStream, PollStream] {
  const [one, other] = socketpair();
  return [new PollStream({ fd: one, ...first }), new PollStream({ fd: other, ...second })];
}

async function readAll(stream: PollStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

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
  it("carries any chunks, whole and in order", async () => {
    const sizes = fc.array(fc.oneof(fc.nat(40), fc.nat(300_000)), { maxLength: 90 });
    const source = randomBytes(300_000);
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({ min: 1, max: 200_000 }), async (lengths, highWaterMark) => {
        const sent = lengths.map((length, i) => source.subarray(i, i + length));
        const [here, there] = streamPair({ highWaterMark }, { highWaterMark });
        const received = readAll(there);
        here.cork();
        for (const chunk of sent) here.write(chunk);
        here.uncork();
        here.end();
        assert.ok((await received).equals(Buffer.concat(sent)));
        here.resume();
      }),
      { numRuns: 20 },
    );
  });

  it("counts what it carried", async () => {
    const [here, there] = streamPair();
    here.resume().end(Buffer.alloc(3 * MIB, 7));
    assert.equal((await readAll(there)).length, 3 * MIB);
    assert.equal(here.bytesWritten, 3 * MIB);
    assert.equal(there.bytesRead, 3 * MIB);
  });

  it("carries 64 MiB both ways at once", async () => {
    const [here, there] = streamPair();
    const block = randomBytes(MIB);
    async function* blocks() {
      for (let i = 0; i < 64; i++) yield block;
    }
    const hash = createHash("sha256");
    const expected = createHash("sha256");
    for (let i = 0; i < 64; i++) expected.update(block);
    await Promise.all([pipeline(there, there), pipeline(blocks, here), pipeline(here, hash)]);
    assert.equal(hash.digest("hex"), expected.digest("hex"));
  });

  it("stops a writer that outruns the reader, and the reader buffers no more than its mark", async () => {
    const [here, there] = streamPair();
    there.read(0);
    const chunk = Buffer.alloc(16 * 1024);
    let written = 0;
    while (here.write(chunk)) {
      written += chunk.length;
      assert.ok(written < 8 * MIB, "write() never said to stop");
      await delay(0);
    }
    written += chunk.length;
    await delay(20);
    assert.ok(here.writableNeedDrain);
    assert.ok(here.writableLength <= 64 * 1024 + chunk.length, `${here.writableLength} bytes wait to be written`);
    assert.ok(there.readableLength <= 128 * 1024, `${there.readableLength} bytes wait to be read`);
    let received = 0;
    there.on("data", (data: Buffer) => {
      received += data.length;
    });
    await once(here, "drain");
    here.end();
    await once(there, "end");
    assert.equal(received, written);
    here.resume();
  });

  it("does not read while it is paused", async () => {
    const [fd, other] = socketpair();
    const stream = new PollStream({ fd });
    stream.on("data", () => {});
    stream.pause();
    await delay(5);
    writeSync(other, "later");
    await delay(20);
    assert.ok(stream.bytesRead <= 5 && stream.readableLength === stream.bytesRead);
    const data = once(stream, "data");
    stream.resume();
    assert.equal(String((await data)[0]), "later");
    stream.destroy();
    closeSync(other);
  });

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

  it("reuses memory for transient chunks, but not that of chunks that wait", async () => {
    const [here, there] = streamPair({}, { transientChunks: true });
    const memory = new Set<ArrayBufferLike>();
    const sent = createHash("sha256");
    const received = createHash("sha256");
    let length = 0;
    there.on("data", (chunk: Buffer) => {
      memory.add(chunk.buffer);
      received.update(chunk);
      length += chunk.length;
      // Now and then nobody listens, and chunks have to be queued.
      if (memory.size < 10 && length % 7 === 0) {
        there.pause();
        setTimeout(() => there.resume(), 2);
      }
    });
    const body = randomBytes(16 * MIB);
    sent.update(body);
    here.resume().end(body);
    await once(there, "end");
    assert.equal(received.digest("hex"), sent.digest("hex"));
    assert.ok(memory.size < 64, `${memory.size} buffers for 16 MiB`);
  });

  it("hands transient chunks to consumers that take them from the queue whole", async () => {
    const [here, there] = streamPair({}, { transientChunks: true });
    const body = randomBytes(4 * MIB);
    here.resume().end(body);
    const hash = createHash("sha256");
    for await (const chunk of there) {
      await delay(0);
      hash.update(chunk as Buffer);
    }
    assert.equal(hash.digest("hex"), createHash("sha256").update(body).digest("hex"));
  });

  it("carries HTTP/2", async () => {
    const [here, there] = streamPair({ transientChunks: true }, { transientChunks: true });
    const server = createHttp2Server();
    server.on("stream", (stream) => {
      stream.respond({ ":status": 200 });
      stream.pipe(stream);
    });
    server.emit("connection", there);
    const client = connectHttp2("http://vsock", { createConnection: () => here });
    const body = randomBytes(4 * MIB);
    const request = client.request({ ":method": "POST" });
    request.end(body);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    assert.ok(Buffer.concat(chunks).equals(body));
    client.close();
    await Promise.all([once(here, "close"), once(there, "close")]);
  });
});

describe("PollStream over other descriptors", () => {
  it("reads a pipe to its end and closes it", async () => {
    const [read, write] = pipe();
    const reader = new PollStream({ fd: read, writable: false });
    const writer = new PollStream({ fd: write, readable: false });
    writer.end(Buffer.alloc(MIB, 1));
    assert.equal((await readAll(reader)).length, MIB);
    assert.ok(reader.destroyed && writer.destroyed);
  });

  it("fails with EPIPE when no one reads the pipe any more", async () => {
    const [read, write] = pipe();
    const writer = new PollStream({ fd: write, readable: false });
    closeSync(read);
    writer.write("x");
    assert.equal((await once(writer, "error"))[0].code, "EPIPE");
  });

  it("refuses a regular file with EPERM, and a second stream with EEXIST", () => {
    const file = openSync(import.meta.filename, "r");
    assert.throws(() => new PollStream({ fd: file }), { code: "EPERM", syscall: "epoll_ctl" });
    assert.equal(readSync(file, Buffer.alloc(1)), 1);
    closeSync(file);
    const [here, there] = streamPair();
    assert.throws(() => new PollStream({ fd: here.fd }), { code: "EEXIST" });
    assert.throws(() => new PollStream({ fd: 9999 }), { code: "EBADF" });
    here.destroy();
    there.destroy();
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
