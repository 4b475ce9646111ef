import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { recvFd, socketpair } from "../../native/posix/index.ts";
import { QmpClient, QmpError, type QmpEvent } from "./qmp.ts";

const GREETING = '{"QMP": {"version": {}, "capabilities": []}}\r\n';

interface Peer {
  client: QmpClient;
  events: QmpEvent[];
  closed: Promise<Error | undefined>;
  /** Says something as QEMU would. */
  say(text: string | Buffer): void;
  /** The next command that arrived. */
  heard(): Promise<{ execute: string; arguments?: Record<string, unknown>; id: number }>;
  socket: Socket;
}

function connect(context: TestContext): Peer {
  const [ours, theirs] = socketpair();
  const socket = new Socket({ fd: theirs, readable: true, writable: true });
  socket.on("error", () => {});
  const events: QmpEvent[] = [];
  const { promise: closed, resolve } = Promise.withResolvers<Error | undefined>();
  const client = new QmpClient(ours, { onEvent: (event) => events.push(event), onClose: resolve });
  context.after(() => {
    client.close();
    socket.destroy();
  });
  const lines: string[] = [];
  const waiting: ((line: string) => void)[] = [];
  let text = "";
  socket.setEncoding("utf8");
  socket.on("data", (chunk: string) => {
    text += chunk;
    const whole = text.split("\n");
    text = whole.pop() ?? "";
    for (const line of whole) (waiting.shift() ?? ((kept) => lines.push(kept)))(line);
  });
  return {
    client,
    events,
    closed,
    socket,
    say: (said) => void socket.write(said),
    heard: async () => JSON.parse(lines.shift() ?? (await new Promise<string>((take) => waiting.push(take)))),
  };
}

test("QmpClient.execute writes before the greeting has come and resolves with the answer", async (context) => {
  const peer = connect(context);
  const answer = peer.client.execute("query-status", { a: 1 });
  const command = await peer.heard();
  assert.deepEqual([command.execute, command.arguments], ["query-status", { a: 1 }]);
  peer.say(`${GREETING}{"return": {"status": "running"}, "id": ${command.id}}\r\n`);
  assert.deepEqual(await answer, { status: "running" });
});

test("QmpClient.execute rejects with QMP's class and description", async (context) => {
  const peer = connect(context);
  const answer = peer.client.execute("nonsense");
  const { id } = await peer.heard();
  peer.say(`${GREETING}{"id": ${id}, "error": {"class": "CommandNotFound", "desc": "no such thing"}}\n`);
  await assert.rejects(answer, (error: QmpError) => {
    assert.equal(error.errorClass, "CommandNotFound");
    assert.match(error.message, /nonsense.*no such thing/);
    return error instanceof QmpError;
  });
});

test("QmpClient.execute matches answers to commands by id, whatever their order", async (context) => {
  const peer = connect(context);
  const answers = [peer.client.execute("a"), peer.client.execute("b")];
  const [a, b] = [await peer.heard(), await peer.heard()];
  peer.say(`${GREETING}{"return": "B", "id": ${b.id}}\n{"return": "A", "id": ${a.id}}\n`);
  assert.deepEqual(await Promise.all(answers), ["A", "B"]);
});

test("QmpClient takes any splitting of its input", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 }), async (cuts) => {
      const [ours, theirs] = socketpair();
      const events: QmpEvent[] = [];
      const { promise: closed, resolve } = Promise.withResolvers<Error | undefined>();
      new QmpClient(ours, { onEvent: (event) => events.push(event), onClose: resolve });
      const text = `${GREETING}{"event": "STOP", "data": {"ü": 1}}\n{"event": "RESUME"}\n`;
      const bytes = Buffer.from(text);
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        at += writeSync(theirs, bytes.subarray(at, at + (cuts[turn % cuts.length] ?? 1)));
        await new Promise(setImmediate);
      }
      closeSync(theirs);
      assert.equal(await closed, undefined);
      assert.deepEqual(events, [
        { name: "STOP", data: { ü: 1 } },
        { name: "RESUME", data: {} },
      ]);
    }),
    { numRuns: 30 },
  );
});

test("QmpClient.execute gives up after its limit, and the late answer does no harm", async (context) => {
  const peer = connect(context);
  peer.say(GREETING);
  const late = assert.rejects(peer.client.execute("slow", undefined, { limitMs: 500 }), { name: "TimeoutError" });
  const { id } = await peer.heard();
  await late;
  const next = peer.client.execute("quick");
  const command = await peer.heard();
  peer.say(`{"return": 1, "id": ${id}}\n{"return": 2, "id": ${command.id}}\n`);
  assert.equal(await next, 2);
});

test("QmpClient.execute stops waiting when its signal aborts", async (context) => {
  const peer = connect(context);
  const controller = new AbortController();
  const answer = peer.client.execute("slow", undefined, { signal: controller.signal });
  controller.abort(new Error("enough"));
  await assert.rejects(answer, { message: "enough" });
  await assert.rejects(peer.client.execute("more", undefined, { signal: controller.signal }), { message: "enough" });
});

test("QmpClient.execute rejects when the connection ends, and afterwards", async (context) => {
  const peer = connect(context);
  const answer = peer.client.execute("query-status");
  peer.socket.destroy();
  await assert.rejects(answer, { message: /closed before it answered query-status/ });
  assert.equal(await peer.closed, undefined);
  await assert.rejects(peer.client.execute("query-status"), { message: /is closed/ });
});

for (const [what, said] of [
  ["what is no JSON", "hello\n"],
  ["no greeting", '{"event": "STOP"}\n'],
  ["an array", `${GREETING}[]\n`],
  ["a line without end", Buffer.alloc(1024 * 1024 + 1, 0x20)],
] as const) {
  test(`QmpClient ends the connection on ${what}`, async (context) => {
    const peer = connect(context);
    const answer = peer.client.execute("query-status");
    const rejected = assert.rejects(answer);
    peer.say(said);
    assert.ok((await peer.closed) instanceof Error);
    await rejected;
  });
}

test("QmpClient bounds the commands that wait", async (context) => {
  const { client } = connect(context);
  const waiting = Array.from({ length: 64 }, () => client.execute("x"));
  for (const one of waiting) one.catch(() => {});
  await assert.rejects(client.execute("x"), { message: /too many/ });
});

test("QmpClient ignores answers to commands it never sent", async (context) => {
  const peer = connect(context);
  peer.say(`${GREETING}{"return": {}, "id": 99}\n{"error": {}, "id": "x"}\n{"return": {}}\n{"event": "STOP"}\n`);
  await peer.client.nextEvent(({ name }) => name === "STOP");
});

test("QmpClient.nextEvent resolves with the event that matches", async (context) => {
  const peer = connect(context);
  const done = peer.client.nextEvent(({ name, data }) => name === "MIGRATION" && data["status"] === "completed");
  peer.say(`${GREETING}{"event": "MIGRATION", "data": {"status": "active"}}\n`);
  peer.say('{"event": "MIGRATION", "data": {"status": "completed"}}\n');
  assert.deepEqual((await done).data, { status: "completed" });
  assert.equal(peer.events.length, 2);
});

test("QmpClient.nextEvent rejects when its signal aborts or the connection ends", async (context) => {
  const peer = connect(context);
  const aborted = peer.client.nextEvent(() => true, AbortSignal.timeout(5));
  await assert.rejects(aborted, { name: "TimeoutError" });
  const ended = assert.rejects(
    peer.client.nextEvent(() => true),
    { message: /closed/ },
  );
  peer.socket.destroy();
  await ended;
});

test("QmpClient.passDescriptor and addDescriptor send the descriptor with their command", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "caisson-qmp-"));
  context.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "file"), "content");
  const [ours, theirs] = socketpair();
  const client = new QmpClient(ours, { onEvent() {}, onClose() {} });
  const fd = openSync(join(folder, "file"), "r");
  writeSync(theirs, GREETING);
  const takes = async (passed: Promise<void>, words: unknown[]) => {
    const { fd: received, data } = recvFd(theirs);
    const command = JSON.parse(data.toString()) as { execute: string; arguments: unknown; id: number };
    assert.deepEqual([command.execute, command.arguments], words);
    const content = Buffer.alloc(7);
    readSync(received, content, 0, 7, 0);
    assert.equal(content.toString(), "content");
    closeSync(received);
    writeSync(theirs, `{"return": {}, "id": ${command.id}}\n`);
    await passed;
  };
  await takes(client.passDescriptor("state", fd), ["getfd", { fdname: "state" }]);
  await takes(client.addDescriptor(20, fd), ["add-fd", { "fdset-id": 20 }]);
  client.close();
  for (const open of [fd, theirs]) closeSync(open);
});
