import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { Request, Response } from "../../protocol/generated/containerd/ttrpc.ts";
import { Client } from "./client.ts";
import { encodeFrame, FrameReader, HEADER_LENGTH, isOversized, MAX_DATA } from "./frames.ts";
import { type Services, serve } from "./server.ts";
import { StatusCode, StatusError } from "./status.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-ttrpc-"));
after(() => rmSync(folder, { recursive: true }));

const aborted: string[] = [];
/** How often `forever` was called. */
let begun = 0;
const services: Services = {
  test: {
    echo: async (payload) => payload,
    refuse: async () => {
      throw new StatusError(StatusCode.notFound, "no such thing");
    },
    fail: async () => {
      throw new TypeError("a bug");
    },
    large: async () => Buffer.alloc(MAX_DATA),
    forever: (_payload, { signal }) => {
      begun += 1;
      return new Promise((_resolve, reject) =>
        signal.addEventListener("abort", () => {
          aborted.push(String(signal.reason));
          reject(signal.reason as Error);
        }),
      );
    },
    slow: async (payload) => {
      await delay(payload[0] ?? 0);
      return payload;
    },
  },
};

async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 30_000; !holds(); await delay(5)) {
    assert.ok(performance.now() < end, `it never came to hold: ${holds}`);
  }
}

let serial = 0;
async function connection(): Promise<{ socket: Socket; stop: () => Promise<void> }> {
  const path = join(folder, `${serial++}.sock`);
  const server = createServer((peer) => serve(peer, services)).listen(path);
  await once(server, "listening");
  const socket = connect(path);
  await once(socket, "connect");
  return {
    socket,
    stop: async () => {
      socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

async function withClient(run: (client: Client) => Promise<void>): Promise<void> {
  const { socket, stop } = await connection();
  try {
    await run(new Client(socket));
  } finally {
    await stop();
  }
}

/** Reads `count` answers on a raw connection: stream and status code of each. */
async function answers(socket: Socket, count: number): Promise<{ stream: number; code: number }[]> {
  const reader = new FrameReader();
  const found: { stream: number; code: number }[] = [];
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    reader.push(chunk as Buffer);
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      assert.equal(isOversized(frame), false);
      if (isOversized(frame)) continue;
      found.push({ stream: frame.stream, code: Response.decode(frame.data).status?.code ?? 0 });
    }
    if (found.length >= count) break;
  }
  return found;
}

function request(stream: number, method = "echo"): Buffer {
  const message = { service: "test", method, payload: Buffer.from("x"), timeoutNano: 0n, metadata: [] };
  return encodeFrame({ stream, type: 1, flags: 1, data: Buffer.from(Request.encode(message).finish()) });
}

test("Client.call gets the method's answer", () =>
  withClient(async (client) => {
    assert.deepEqual(await client.call("test", "echo", Buffer.from("hello")), Buffer.from("hello"));
    assert.deepEqual(await client.call("test", "echo", Buffer.alloc(0)), Buffer.alloc(0));
  }));

test("Client.call: answers come in the order the methods end", () =>
  withClient(async (client) => {
    const order: number[] = [];
    const calls = [250, 0, 120].map((ms) => client.call("test", "slow", Buffer.from([ms])).then(() => order.push(ms)));
    await Promise.all(calls);
    assert.deepEqual(order, [0, 120, 250]);
  }));

test("Client.call throws the method's status, and unknown for any other error", () =>
  withClient(async (client) => {
    await assert.rejects(client.call("test", "refuse", Buffer.alloc(0)), {
      code: StatusCode.notFound,
      message: "no such thing",
    });
    await assert.rejects(client.call("test", "fail", Buffer.alloc(0)), { code: StatusCode.unknown, message: "a bug" });
  }));

test("Client.call: a method that is not there is unimplemented", () =>
  withClient(async (client) => {
    for (const [service, method] of [
      ["test", "nothing"],
      ["other", "echo"],
      ["constructor", "name"],
      ["test", "toString"],
    ] as const) {
      await assert.rejects(client.call(service, method, Buffer.alloc(0)), { code: StatusCode.unimplemented });
    }
  }));

test("serve ends a call at its deadline and aborts its method", () =>
  withClient(async (client) => {
    aborted.length = 0;
    await assert.rejects(client.call("test", "forever", Buffer.alloc(0), { timeoutMs: 30 }), {
      code: StatusCode.deadlineExceeded,
    });
    await until(() => aborted.length === 1);
  }));

test("serve aborts the methods of a connection that ends", async () => {
  const { socket, stop } = await connection();
  aborted.length = 0;
  const before = begun;
  socket.write(request(1, "forever"));
  await until(() => begun > before);
  await stop();
  await until(() => aborted.length === 1);
});

test("Client.call takes an abort signal", () =>
  withClient(async (client) => {
    const reason = new Error("enough");
    const controller = new AbortController();
    const call = client.call("test", "forever", Buffer.alloc(0), { signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(call, reason);
    assert.deepEqual(await client.call("test", "echo", Buffer.from("on")), Buffer.from("on"));
  }));

test("Client.call fails as unavailable when the connection ends under it, and ever after", async () => {
  const { socket, stop } = await connection();
  const client = new Client(socket);
  const call = client.call("test", "forever", Buffer.alloc(0));
  setTimeout(() => socket.destroy(), 20);
  await assert.rejects(call, { code: StatusCode.unavailable });
  await assert.rejects(client.call("test", "echo", Buffer.alloc(0)), { code: StatusCode.unavailable });
  assert.equal(client.closed, true);
  await stop();
});

test("Client.call refuses a request that is too long and serve an answer that is", () =>
  withClient(async (client) => {
    await assert.rejects(client.call("test", "echo", Buffer.alloc(MAX_DATA)), { code: StatusCode.resourceExhausted });
    await assert.rejects(client.call("test", "large", Buffer.alloc(0)), { code: StatusCode.resourceExhausted });
    assert.deepEqual(await client.call("test", "echo", Buffer.from("on")), Buffer.from("on"));
  }));

test("serve refuses even stream ids, used ones, data without a stream and what it cannot read, and goes on", async () => {
  const { socket, stop } = await connection();
  const junk = encodeFrame({ stream: 7, type: 1, flags: 0, data: Buffer.from([0xff, 0xff]) });
  const data = encodeFrame({ stream: 1, type: 3, flags: 0, data: Buffer.from("x") });
  const future = encodeFrame({ stream: 9, type: 77, flags: 0, data: Buffer.from("x") });
  socket.write(Buffer.concat([request(2), request(5), request(3), request(5), data, junk, future, request(11)]));
  const found = await answers(socket, 7);
  const bad = StatusCode.invalidArgument;
  assert.deepEqual(
    found.sort((a, b) => a.stream - b.stream || a.code - b.code),
    [
      { stream: 1, code: bad },
      { stream: 2, code: bad },
      { stream: 3, code: bad },
      { stream: 5, code: 0 },
      { stream: 5, code: bad },
      { stream: 7, code: bad },
      { stream: 11, code: 0 },
    ],
  );
  await stop();
});

test("serve answers an oversized request with resourceExhausted and reads on behind it", async () => {
  const { socket, stop } = await connection();
  const header = Buffer.alloc(HEADER_LENGTH);
  header.writeUInt32BE(MAX_DATA + 5, 0);
  header.writeUInt32BE(1, 4);
  header.writeUInt8(1, 8);
  socket.write(Buffer.concat([header, Buffer.alloc(MAX_DATA + 5), request(3)]));
  assert.deepEqual(await answers(socket, 2), [
    { stream: 1, code: StatusCode.resourceExhausted },
    { stream: 3, code: 0 },
  ]);
  await stop();
});

test("serve survives any bytes", async () => {
  const { socket: well, stop } = await connection();
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 10 }), async (chunks) => {
      const { socket, stop: stopOne } = await connection();
      for (const chunk of chunks) socket.write(chunk);
      await stopOne();
    }),
    { numRuns: 40 },
  );
  const client = new Client(well);
  assert.deepEqual(await client.call("test", "echo", Buffer.from("still here")), Buffer.from("still here"));
  await stop();
});

test("serve stops reading from a client that does not read its answers", async () => {
  const { socket, stop } = await connection();
  socket.pause();
  const big = Buffer.alloc(1024 * 1024);
  const message = { service: "test", method: "echo", payload: big, timeoutNano: 0n, metadata: [] };
  const data = Buffer.from(Request.encode(message).finish());
  for (let call = 0; call < 64; call++) socket.write(encodeFrame({ stream: 1 + 2 * call, type: 1, flags: 1, data }));
  await delay(300);
  // What the kernel and the server hold is bounded; the rest still waits here.
  assert.ok(socket.writableLength > 48 * big.length, `only ${socket.writableLength} bytes are waiting`);
  socket.resume();
  assert.equal((await answers(socket, 64)).length, 64);
  await stop();
});
