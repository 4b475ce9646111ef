/** What a PollStream carries, and over which descriptors. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { connect as connectHttp2, createServer as createHttp2Server } from "node:http2";
import { pipeline } from "node:stream/promises";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { readAll, streamPair } from "../../test/harness/stream-pair.ts";
import { pipe, socketpair } from "../posix/index.ts";
import { PollStream } from "./index.ts";

const MIB = 1024 * 1024;

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

  it("copies what is left of a chunk that is valid only now, and says when it is out", async () => {
    const [here, there] = streamPair();
    const chunk = Buffer.alloc(64 * 1024);
    const hash = createHash("sha256");
    let waits = 0;
    const received = readAll(there);
    for (let round = 0; round < 64; round++) {
      chunk.fill(round);
      hash.update(chunk);
      await new Promise<void>((resolve) => {
        if (here.writeTransient(chunk, resolve)) return resolve();
        // A second one while the first waits.
        hash.update(chunk);
        here.writeTransient(chunk, () => {});
        waits += 1;
      });
      chunk.fill(255);
    }
    here.resume().end();
    assert.equal(
      createHash("sha256")
        .update(await received)
        .digest("hex"),
      hash.digest("hex"),
    );
    assert.ok(waits > 0);
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
