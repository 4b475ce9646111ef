import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, chownSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex, PassThrough } from "node:stream";
import { after, test } from "node:test";
import { peerCredentials } from "../../../native/posix/index.ts";
import type { ConnectionChunk, SocketConnection } from "../../../protocol/generated/agent.ts";
import { SharedSocket } from "../../storage/shared-socket.ts";
import type { Agent } from "../agent/client.ts";
import { HostSockets } from "./host-sockets.ts";

const options = { skip: process.getuid?.() !== 0 && "needs root" };
const folder = mkdtempSync(join(tmpdir(), "caisson-host-sockets-"));
chmodSync(folder, 0o755);
after(() => rmSync(folder, { recursive: true }));

/** The guest's end of a call. */
class GuestCall extends Duplex {
  readonly sent: ConnectionChunk[] = [];
  isCancelled = false;
  constructor() {
    super({ objectMode: true });
  }
  override _read(): void {}
  override _write(chunk: ConnectionChunk, _encoding: BufferEncoding, done: () => void): void {
    this.sent.push(chunk);
    done();
  }
  cancel(): void {
    this.isCancelled = true;
    this.destroy();
  }
  say(text: string, end = false): void {
    this.push({ number: 0, data: Buffer.from(text), end, refused: false });
  }
  get text(): string {
    return this.sent.map(({ data }) => data.toString()).join("");
  }
}

/** A guest that listens, and a listener of the host's. */
async function pair(name: string, linux = {}) {
  const path = join(folder, name);
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const shared = new SharedSocket(path, { field: "mounts[0].source", name: path, guestPath: "/run/caisson/sockets/1" });
  const calls: GuestCall[] = [];
  const listening = Object.assign(new PassThrough({ objectMode: true }), { cancel: () => {} });
  const agent = {
    serveSocket: () => listening,
    carryConnection: () => {
      const call = new GuestCall();
      calls.push(call);
      return call;
    },
  } as unknown as Agent;
  listening.write({ number: 0, uid: 0, gid: 0, groups: [] });
  const sockets = await HostSockets.serve(agent, [shared], { ociVersion: "1.0.0", linux });
  const connect = async (number: number, who: Partial<SocketConnection> = {}): Promise<GuestCall> => {
    listening.write({ number, uid: 0, gid: 0, groups: [], ...who });
    while (calls.length < number) await new Promise(setImmediate);
    return calls[number - 1] as GuestCall;
  };
  const close = () => {
    sockets.close();
    shared.close();
    server.close();
  };
  return { path, server, sockets, connect, close };
}

const accepted = async (server: Server): Promise<Socket> => (await once(server, "connection"))[0] as Socket;

test("HostSockets connects as whoever has connected in the guest", options, async () => {
  const { path, server, connect, close } = await pair("who");
  chownSync(path, 0, 50);
  chmodSync(path, 0o660);
  const coming = accepted(server);
  await connect(1, { uid: 1234, gid: 77, groups: [50, 77] });
  const socket = await coming;
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  assert.deepEqual(peerCredentials(fd), { uid: 1234, gid: 77, groups: [50, 77] });
  assert.deepEqual([process.geteuid?.(), process.getegid?.()], [0, 0]);
  const refused = await connect(2, { uid: 1234, gid: 77, groups: [] });
  assert.deepEqual(refused.sent, [{ number: 2, data: Buffer.alloc(0), end: false, refused: true }]);
  close();
});

test("HostSockets lets a guest name nobody outside of its container's user namespace", options, async () => {
  const map = [{ containerID: 0, hostID: 1000, size: 10 }];
  const { server, connect, close } = await pair("mapped", { uidMappings: map, gidMappings: map });
  server.once("connection", (socket: Socket) => socket.destroy());
  chmodSync(join(folder, "mapped"), 0o666);
  for (const [number, uid, refused] of [
    [1, 1009, false],
    [2, 0, true],
    [3, 1010, true],
  ] as const) {
    const call = await connect(number, { uid, gid: 1000, groups: [0] });
    assert.equal(call.sent[0]?.refused, refused);
  }
  close();
});

test("HostSockets carries both ways, each to its own end, and knows when all is taken", options, async () => {
  const { server, sockets, connect, close } = await pair("both");
  const coming = accepted(server);
  const call = await connect(1);
  const socket = await coming;
  call.say("question", true);
  let got = "";
  socket.on("data", (data) => {
    got += data;
  });
  await once(socket.resume(), "end");
  assert.equal(got, "question");
  await sockets.drained();
  socket.end("answer");
  await once(call, "finish");
  assert.equal(call.text, "answer");
  assert.equal(call.isCancelled, false);
  close();
});

test(
  "HostSockets breaks the guest's connection when the listener breaks it, and the other way round",
  options,
  async () => {
    const { server, connect, close } = await pair("broken");
    let coming = accepted(server);
    const one = await connect(1);
    (await coming).destroy();
    one.say("nobody reads this");
    await once(one, "close");
    assert.equal(one.isCancelled, true);
    coming = accepted(server);
    const two = await connect(2);
    const socket = await coming;
    two.push(null);
    await once(socket.resume(), "end");
    close();
  },
);

test(
  "HostSockets refuses when nobody listens any more, and ends what there is when it is closed",
  options,
  async () => {
    const { server, connect, close } = await pair("gone");
    const coming = accepted(server);
    const open = await connect(1);
    const socket = await coming;
    server.close();
    assert.equal((await connect(2)).sent[0]?.refused, true);
    close();
    await once(socket.resume(), "end");
    assert.equal(open.isCancelled, true);
  },
);
