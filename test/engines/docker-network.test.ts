import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../harness/host.ts";
import { Netns } from "../harness/network.ts";
import { Docker, whyNoDocker } from "./docker.ts";

const skip = whyNoDocker();
const options = { skip: skip ?? false };
let host: Netns;
let client: Netns;
let docker: Docker;

before(async () => {
  if (skip !== undefined) return;
  host = new Netns();
  client = new Netns();
  host.veth("uplink", client, "eth0");
  host.ip("addr add 192.0.2.1/24 dev uplink");
  client.ip(`addr add 192.0.2.9/24 dev eth0
             route add default via 192.0.2.1`);
  docker = await Docker.start(host.path);
});
after(async () => {
  if (skip !== undefined) return;
  await docker?.[Symbol.asyncDispose]();
  for (const netns of [host, client]) netns[Symbol.dispose]();
});

const run = (flags: readonly string[], ...command: string[]) =>
  docker.ok(["run", "--runtime", "caisson", ...flags, "busybox", ...command]);
const fetch = async (from: Netns, address: string, port: number) =>
  (await from.run("busybox", "nc", "-w", "10", address, String(port))).stdout;

test("docker run --publish: a port of the host leads to the container in its VM", options, async () => {
  await run(["-d", "--name", "web", "--publish", "8080:80"], "nc", "-ll", "-p", "80", "-e", "echo", "a page");
  const address = await docker.inspect("web", "{{.NetworkSettings.IPAddress}}");
  await until(async () => (await fetch(host, address, 80)) === "a page\n");
  await until(async () => (await fetch(client, "192.0.2.1", 8080)) === "a page\n");
  assert.match(
    await docker.ok(["exec", "web", "ip", "-4", "addr", "show", "dev", "eth0"]),
    new RegExp(`inet ${address}/`),
  );
  await docker.ok(["exec", "web", "ping", "-c", "2", "-W", "60", "192.0.2.9"]);

  // Another container in the same VM: what it shares is the network.
  const inside = await run(
    ["--rm", "--network", "container:web"],
    "sh",
    "-c",
    "nc 127.0.0.1 80; ip -4 addr show dev eth0",
  );
  assert.match(inside, new RegExp(`^a page\n[^]*inet ${address}/`));
  await docker.ok(["restart", "--time", "0", "web"]);
  await until(async () => (await fetch(client, "192.0.2.1", 8080)) === "a page\n");
  await docker.ok(["rm", "--force", "web"]);
});

test("docker network: containers of one network reach each other, by name as well", options, async () => {
  await docker.ok(["network", "create", "own"]);
  await run(["-d", "--name", "server", "--network", "own"], "nc", "-ll", "-p", "80", "-e", "echo", "a page");
  const address = await docker.inspect("server", "{{.NetworkSettings.Networks.own.IPAddress}}");
  const ask = (name: string) =>
    docker.run(["run", "--runtime", "caisson", "--rm", "--network", "own", "busybox", "nc", "-w", "20", name, "80"]);
  for (const name of [address, "server"]) await until(async () => (await ask(name)).stdout === "a page\n");
  await docker.ok(["rm", "--force", "server"]);
  await docker.ok(["network", "rm", "own"]);
});

test("docker network connect and disconnect reach a container that runs", options, async () => {
  await docker.ok(["network", "create", "later"]);
  await run(["-d", "--name", "late"], "nc", "-ll", "-p", "80", "-e", "echo", "a page");
  await docker.ok(["network", "connect", "later", "late"]);
  const address = await docker.inspect("late", "{{.NetworkSettings.Networks.later.IPAddress}}");
  await until(async () => (await fetch(host, address, 80)) === "a page\n");
  const links = () => docker.ok(["exec", "late", "ip", "-4", "addr"]);
  assert.match(await links(), new RegExp(`inet ${address}/`));
  // The network's name server has come with it.
  await until(async () =>
    (await docker.run(["exec", "late", "busybox", "nslookup", "late", "127.0.0.11"])).stdout.includes(address),
  );
  await docker.ok(["network", "disconnect", "later", "late"]);
  await until(async () => !(await links()).includes(address));
  await docker.ok(["rm", "--force", "late"]);
  await docker.ok(["network", "rm", "later"]);
});
