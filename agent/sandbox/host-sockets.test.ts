import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { after, test } from "node:test";
import type { ConnectionChunk, SocketConnection } from "../../protocol/generated/agent.ts";
import { type ConnectionCall, HostSockets } from "./host-sockets.ts";

const folder = mkdtempSync(join(tmpdir(), "caisson-sockets-"));
after(() => rmSync(folder, { recursive: true }));
const sockets = new HostSockets(folder);
const { uid = 0, gid = 0 } = { uid: process.getuid?.(), gid: process.getgid?.() };

/** A socket that is served, and what is told of it. */
function serve(name: string, mode = 0o640) {
  const told: SocketConnection[] = [];
  const path = join(folder, name);
  const end = sockets.serve({ path, mode, uid, gid }, (connection) => told.push(connection));
  const until = async (count: number) => {
    while (told.length < count) await new Promise(setImmediate);
  };
  return { path, told, end, until };
}

/** The host's end of a call, and the agent's. */
function call() {
  const sent: ConnectionChunk[] = [];
  const agents = new Duplex({
    objectMode: true,
    read() {},
    write: (chunk: ConnectionChunk, _encoding, done) => {
      sent.push(chunk);
      done();
    },
  });
  sockets.carry(agents as unknown as ConnectionCall);
  const chunk = (part: Partial<ConnectionChunk>) =>
    agents.push({ number: 0, data: Buffer.alloc(0), end: false, refused: false, ...part });
  const text = () => sent.map(({ data }) => data.toString()).join("");
  return { agents, sent, chunk, text, end: () => agents.push(null) };
}

const client = (path: string): Socket => connect({ path, allowHalfOpen: true });

test("HostSockets listens as it is told, and says who connects", async () => {
  const socket = serve("1", 0o604);
  assert.equal(statSync(socket.path).mode & 0o777, 0o604);
  const one = client(socket.path);
  await socket.until(2);
  const [first, second] = socket.told;
  assert.equal(first?.number, 0);
  assert.deepEqual([second?.uid, second?.gid], [uid, gid]);
  // Node adds the effective group.
  assert.deepEqual(new Set([gid, ...(second?.groups ?? [])]), new Set(process.getgroups?.()));
  socket.end();
  await once(one.resume(), "end");
  assert.deepEqual(readdirSync(folder), []);
});

test("HostSockets carries both ways, each to its own end", async () => {
  const socket = serve("2");
  const one = client(socket.path);
  await socket.until(2);
  const host = call();
  host.chunk({ number: socket.told[1]?.number ?? 0 });
  host.chunk({ data: Buffer.from("from the host") });
  host.end();
  let got = "";
  one.on("data", (data) => {
    got += data;
  });
  await once(one, "end");
  assert.equal(got, "from the host");
  one.end("from the container");
  await once(host.agents, "finish");
  assert.equal(host.text(), "from the container");
  assert.equal(host.sent.at(-1)?.end, true);
  socket.end();
});

test("HostSockets ends a connection that is refused, or whose call breaks", async () => {
  const socket = serve("3");
  const refused = client(socket.path);
  await socket.until(2);
  call().chunk({ number: socket.told[1]?.number ?? 0, refused: true });
  await once(refused.resume(), "end");
  const broken = client(socket.path);
  await socket.until(3);
  const host = call();
  host.chunk({ number: socket.told[2]?.number ?? 0 });
  setImmediate(() => host.agents.emit("cancelled"));
  await once(broken.resume(), "end");
  socket.end();
});

test("HostSockets leaves connections waiting while there are many", async () => {
  const socket = serve("4");
  const clients = Array.from({ length: 140 }, () => client(socket.path));
  await Promise.all(clients.map((one) => once(one, "connect")));
  await socket.until(129);
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  assert.equal(socket.told.length, 129);
  for (const one of clients) one.on("error", () => {}).destroy();
  for (const { number } of socket.told.slice(1)) call().chunk({ number, refused: true });
  await socket.until(141);
  socket.end();
});

test("HostSockets refuses a path that is not its own", () => {
  for (const path of ["/tmp/x", join(folder, "..", "1"), join(folder, "name")]) {
    assert.throws(() => sockets.serve({ path, mode: 0o600, uid, gid }, () => {}), { code: "CAISSON_E_STORAGE" });
  }
});
