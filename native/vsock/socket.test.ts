import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { describe, it, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import {
  acceptVsock,
  connect,
  createServer,
  PollStream,
  remoteAddress,
  VMADDR_CID_ANY,
  VMADDR_CID_LOCAL,
  type VsockSocket,
} from "./index.ts";

const MIB = 1024 * 1024;
const openFds = () => readdirSync("/proc/self/fd").length;

/** Why sockets cannot be had here, or false. */
function missingVsock(): string | false {
  try {
    createServer().listen({ port: 0xffff_fff0 }).close();
    return false;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EAFNOSUPPORT") throw error;
    return "this kernel has no AF_VSOCK";
  }
}

/** Why this machine cannot connect to itself, or false: that is the business of the module vsock_loopback. */
async function missingLoopback(): Promise<string | false> {
  if (missingVsock()) return missingVsock();
  const port = 0xffff_fff1;
  const server = createServer((socket) => socket.destroy()).listen({ port });
  try {
    const socket = await connect({ cid: VMADDR_CID_LOCAL, port, timeoutMs: 500 });
    socket.destroy();
    return false;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return `vsock_loopback is not loaded: connecting to cid 1 is ${code} (make test-vsock runs this in a VM that has it)`;
  } finally {
    server.close();
  }
}

const noVsock = missingVsock();
const noLoopback = await missingLoopback();

let nextPort = 40_000 + (process.pid % 10_000);

async function connectPair(): Promise<[VsockSocket, VsockSocket, ReturnType<typeof createServer>]> {
  const server = createServer().listen({ port: nextPort++, allowHalfOpen: true });
  const accepted = once(server, "connection");
  const here = await connect({
    cid: VMADDR_CID_LOCAL,
    port: server.address()?.port ?? 0,
    timeoutMs: 60_000,
    allowHalfOpen: true,
  });
  const [there] = (await accepted) as [VsockSocket];
  return [here, there, server];
}

async function readAll(stream: VsockSocket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

describe("VsockServer", { skip: noVsock }, () => {
  it("listens, says where, and closes", async () => {
    const before = openFds();
    const server = createServer();
    assert.equal(server.address(), null);
    const port = nextPort++;
    server.listen({ port });
    await once(server, "listening");
    assert.deepEqual(server.address(), { cid: VMADDR_CID_ANY, port });
    assert.throws(() => server.listen({ port }), { code: "EALREADY" });
    assert.throws(() => createServer().listen({ port }), { code: "EADDRINUSE", message: new RegExp(`:${port}'`) });
    server.close();
    await once(server, "close");
    assert.equal(server.address(), null);
    assert.ok(openFds() <= before + 1, "the listening socket is still open");
  });

  it("lets the port be listened on again", async () => {
    const port = nextPort++;
    for (let i = 0; i < 3; i++) {
      const server = createServer().listen({ port });
      server.close();
      await once(server, "close");
    }
  });
});

describe("connect()", { skip: noVsock }, () => {
  // No machine has the reserved cid 0.
  it("reports a machine that is not there within its limit, and closes the socket", async () => {
    createServer().listen({ port: nextPort++ }).close();
    const before = openFds();
    const started = performance.now();
    await assert.rejects(connect({ cid: 0, port: 1, timeoutMs: 200 }), (error: NodeJS.ErrnoException) => {
      assert.match(error.code ?? "", /^(ETIMEDOUT|ENODEV|ENETUNREACH|EHOSTUNREACH|ECONNRESET)$/);
      assert.match(error.message, /vsock:0:1'/);
      return true;
    });
    assert.ok(performance.now() - started < 20_000);
    assert.equal(openFds(), before);
  });

  it("gives up at once when its signal is aborted", async () => {
    const before = openFds();
    await assert.rejects(connect({ cid: 0, port: 1, signal: AbortSignal.abort(new Error("enough")) }), /enough/);
    assert.equal(openFds(), before);
  });

  it("refuses numbers that are no cid", async () => {
    await assert.rejects(connect({ cid: -1, port: 1 }), { code: "ERR_INVALID_ARG_TYPE" });
  });
});

describe("VsockSocket over loopback", { skip: noLoopback }, () => {
  it("knows both addresses", async () => {
    const [here, there, server] = await connectPair();
    assert.equal(there.localAddress.port, here.remoteAddress.port);
    // The connecting end is not told its own cid: it was bound to any (vsock(7)).
    assert.equal(there.remoteAddress.port, here.localAddress.port);
    assert.equal(there.remoteAddress.cid, VMADDR_CID_LOCAL);
    assert.equal(here.remoteAddress.cid, VMADDR_CID_LOCAL);
    here.destroy();
    there.destroy();
    server.close();
    await once(server, "close");
  });

  it("carries 32 MiB each way, and half-closes", async () => {
    const [here, there, server] = await connectPair();
    const body = Buffer.alloc(32 * MIB, "caisson");
    here.end(body);
    assert.ok((await readAll(there)).equals(body));
    there.end(body);
    assert.ok((await readAll(here)).equals(body));
    server.close();
    await once(server, "close");
  });

  it("stops a writer that outruns the reader", async () => {
    const [here, there, server] = await connectPair();
    const chunk = Buffer.alloc(64 * 1024);
    let written = 0;
    for (let quiet = 0; quiet < 20; ) {
      if (!here.writableNeedDrain) {
        here.write(chunk);
        written += chunk.length;
        quiet = 0;
      } else quiet++;
      assert.ok(written < 16 * MIB, "write() never said to stop");
      await delay(5);
    }
    assert.ok(here.writableLength <= 128 * 1024);
    here.end();
    assert.equal((await readAll(there)).length, written);
    there.end();
    here.resume();
    server.close();
    await once(server, "close");
  });

  it("refuses a port that no one listens on with ECONNRESET", async () => {
    const before = openFds();
    await assert.rejects(connect({ cid: VMADDR_CID_LOCAL, port: 3, timeoutMs: 60_000 }), { code: "ECONNRESET" });
    assert.equal(openFds(), before);
  });

  it("fails a write with EPIPE or ECONNRESET when the peer is gone", async () => {
    const [here, there, server] = await connectPair();
    there.destroy();
    await once(there, "close");
    const failed = once(here, "error");
    const writer = setInterval(() => here.write("x"), 5);
    const [error] = await failed;
    clearInterval(writer);
    assert.match(error.code, /^(EPIPE|ECONNRESET)$/);
    server.close();
    await once(server, "close");
  });

  it("leaves no descriptor behind after 50 connections", async () => {
    await delay(20);
    const before = openFds();
    for (let i = 0; i < 50; i++) {
      const [here, there, server] = await connectPair();
      here.end("x");
      there.end();
      here.resume();
      there.resume();
      server.close();
      await once(server, "close");
      if (!here.closed) await once(here, "close");
    }
    assert.equal(openFds(), before);
  });
});

test("createServer() takes a listener for its connections", { skip: noLoopback }, async () => {
  const server = createServer((socket) => socket.pipe(socket)).listen({ port: nextPort++ });
  const socket = await connect({ cid: VMADDR_CID_LOCAL, port: server.address()?.port ?? 0, timeoutMs: 60_000 });
  socket.write("echo");
  assert.equal(String((await once(socket, "data"))[0]), "echo");
  socket.end();
  server.close();
  await once(server, "close");
});

test("acceptVsock() hands connections out as they are, and their ports tell them apart", {
  skip: noLoopback,
}, async () => {
  const port = nextPort++;
  const taken = Promise.withResolvers<number>();
  const acceptor = acceptVsock(port, taken.resolve, taken.reject);
  const here = await connect({ cid: VMADDR_CID_LOCAL, port, timeoutMs: 60_000 });
  const fd = await taken.promise;
  assert.deepEqual(remoteAddress(fd), { cid: VMADDR_CID_LOCAL, port: here.localAddress.port });
  const there = new PollStream({ fd });
  there.end("by itself");
  assert.equal((await readAll(here)).toString(), "by itself");
  // Nobody reads it, so it would not see its end.
  there.destroy();
  acceptor.close();
});
