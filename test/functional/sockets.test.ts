/** Sockets of the host as bind mounts: a program in the container is a client of a server on the host. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { peerCredentials } from "../../native/posix/index.ts";
import { type Bundle, bundleWithNode, NODE } from "../harness/bundle.ts";
import { Host, until } from "../harness/host.ts";

const host = new Host();
const folder = mkdtempSync(join(tmpdir(), "caisson-sockets-"));
chmodSync(folder, 0o755);
const path = join(folder, "echo.sock");
const peers: { uid: number; gid: number }[] = [];
let server: Server;
before(async () => {
  // What comes goes back, and its end goes back as well.
  server = createServer({ allowHalfOpen: true }, (socket) => {
    peers.push(peerCredentials((socket as unknown as { _handle: { fd: number } })._handle.fd));
    socket.on("error", () => {}).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  chmodSync(path, 0o666);
});
after(async () => {
  await host[Symbol.asyncDispose]();
  server.close();
  rmSync(folder, { recursive: true });
});

/** A container that has Node, the socket, and the directory that the socket is in. */
function bundleWithSocket(): Bundle {
  return bundleWithNode(
    { destination: "/run/echo.sock", source: path, options: ["bind"] },
    { destination: "/folder", source: folder, options: ["bind"] },
  );
}

/** Each connection sends this many bytes, ends its side, and reads what comes back. */
const CLIENT = `
  const { connect } = require("node:net");
  const { createHash } = require("node:crypto");
  const sum = (data) => createHash("sha256").update(data).digest("hex");
  const echo = (bytes, index) => new Promise((resolve, reject) => {
    const sent = Buffer.alloc(bytes, "line " + index + "\\n");
    const got = [];
    const socket = connect({ path: "/run/echo.sock", allowHalfOpen: true }, () => socket.end(sent));
    socket.on("data", (data) => got.push(data));
    socket.on("error", reject);
    socket.on("end", () => resolve(sum(Buffer.concat(got)) === sum(sent)));
  });
  const all = async (count, bytes) =>
    (await Promise.all(Array.from({ length: count }, (_, index) => echo(bytes, index)))).filter(Boolean).length;
  const refused = (path) => new Promise((resolve) => {
    const socket = connect(path);
    socket.on("error", ({ code }) => resolve(code));
    socket.on("close", () => resolve("closed"));
  });`;

test("a container's connections reach a listener on the host, whole and each to its end", async () => {
  using bundle = bundleWithSocket();
  const id = await host.start(bundle);
  const inside = (script: string, ...flags: string[]) =>
    host.run(["exec", ...flags, id, NODE, "-e", `${CLIENT}\n(async () => {${script}})().catch(console.error)`]);

  const { stdout, stderr } = await inside(
    `console.log(await all(1, 4 << 20), await all(160, 2000), await refused("/folder/echo.sock"));`,
    "--user",
    "1234:5678",
  );
  assert.equal(stdout, "1 160 ECONNREFUSED\n", stderr);
  assert.equal(peers.length, 161);
  assert.ok(peers.every(({ uid, gid }) => uid === 1234 && gid === 5678));

  chmodSync(path, 0o600);
  const user = ["--user", "1234:5678"];
  assert.equal((await inside(`console.log(await refused("/run/echo.sock"))`, ...user)).stdout, "closed\n");
  await new Promise((resolve) => server.close(resolve));
  await host.ok(["delete", "--force", id]);
  assert.deepEqual(await host.remains(), []);
});

test("a container that ends with open connections leaves none", async () => {
  let open = 0;
  const waiting = createServer((socket) => {
    open += 1;
    socket.resume().on("close", () => {
      open -= 1;
    });
  });
  rmSync(path, { force: true });
  await new Promise<void>((resolve) => waiting.listen(path, resolve));
  using bundle = bundleWithSocket();
  const id = await host.start(bundle);
  const client = host.run([
    "exec",
    id,
    NODE,
    "-e",
    `for (let i = 0; i < 20; i++) require("net").connect("/run/echo.sock")`,
  ]);
  await until(async () => open === 20);
  await host.ok(["delete", "--force", id]);
  await client;
  await until(async () => open === 0);
  assert.deepEqual(readdirSync(folder), ["echo.sock"]);
  await new Promise((resolve) => waiting.close(resolve));
});
