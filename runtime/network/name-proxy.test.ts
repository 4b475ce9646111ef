import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { ScratchNamespace } from "../../test/harness/namespaces.ts";
import { NameProxy } from "./name-proxy.ts";
import { hasNameServer } from "./name-server.ts";

const CLIENT = "127.0.0.1";

/** Answers each question with itself, in reverse. */
async function server(address: string): Promise<{ port: number } & Disposable> {
  const reversed = (text: Buffer) => Buffer.from(text).reverse();
  const stream = createServer((socket) => socket.on("data", (text: Buffer) => socket.end(reversed(text))));
  stream.listen(0, address);
  await once(stream, "listening");
  const { port } = stream.address() as { port: number };
  const datagrams = createSocket("udp4");
  datagrams.on("message", (text, from) => datagrams.send(reversed(text), from.port, from.address));
  datagrams.bind(port, address);
  await once(datagrams, "listening");
  return {
    port,
    [Symbol.dispose]: () => {
      stream.close();
      datagrams.close();
    },
  };
}

test("NameProxy answers its client's questions by UDP and TCP, and nobody else's", async () => {
  using upstream = await server("127.0.0.113");
  const port = { address: "127.0.0.112", port: upstream.port };
  using _proxy = await NameProxy.start(CLIENT, port, { address: "127.0.0.113", port: upstream.port });

  const [client, stranger] = [createSocket("udp4"), createSocket("udp4")];
  client.bind(0, CLIENT);
  stranger.bind(0, "127.0.0.114");
  const strange: Buffer[] = [];
  stranger.on("message", (text) => strange.push(text));
  await Promise.all([once(client, "listening"), once(stranger, "listening")]);
  stranger.send("stranger", port.port, port.address);
  const answers = new Set<string>();
  const all = Promise.withResolvers<void>();
  client.on("message", (answer) => {
    answers.add(String(answer));
    if (answers.size === 20) all.resolve();
  });
  for (let each = 0; each < 20; each++) client.send(`question ${each}`, port.port, port.address);
  await all.promise;
  assert.ok(answers.has("9 noitseuq") && answers.has("91 noitseuq"));

  const socket = connect({ host: port.address, port: port.port, localAddress: CLIENT });
  socket.write("by stream");
  assert.equal(String((await once(socket, "data"))[0]), "maerts yb");
  const refused = connect({ host: port.address, port: port.port, localAddress: "127.0.0.114" });
  refused.on("error", () => {});
  await once(refused, "close");
  assert.equal(refused.bytesRead, 0);
  assert.deepEqual(strange, []);
  for (const each of [client, stranger]) each.close();
  socket.destroy();
});

test("NameProxy says what it cannot listen at, and holds nothing then", async () => {
  using upstream = await server("127.0.0.115");
  const port = { address: "127.0.0.115", port: upstream.port };
  await assert.rejects(NameProxy.start(CLIENT, port, port), {
    code: "CAISSON_E_NETWORK",
    message: /^cannot listen at 127\.0\.0\.115:\d+: /,
  });
});

const options = process.getuid?.() === 0 ? {} : { skip: "needs root" };

test("hasNameServer() is whether somebody has a socket at 127.0.0.11", options, async () => {
  using namespace = new ScratchNamespace();
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.11");
  await once(socket, "listening");
  assert.equal(hasNameServer(), true);
  assert.equal(namespace.run(hasNameServer), false);
  socket.close();
});
