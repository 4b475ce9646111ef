import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../harness/host.ts";
import { Netns } from "../harness/network.ts";
import { Podman, whyNoPodman } from "./podman.ts";

const skip = whyNoPodman();
const options = { skip: skip ?? false };
let host: Netns;
let client: Netns;
let podman: Podman;

before(async () => {
  if (skip !== undefined) return;
  host = new Netns();
  client = new Netns();
  host.veth("uplink", client, "eth0");
  host.ip("addr add 192.0.2.1/24 dev uplink");
  client.ip(`addr add 192.0.2.9/24 dev eth0
             route add default via 192.0.2.1`);
  podman = await Podman.start(host.path);
});
after(async () => {
  if (skip !== undefined) return;
  await podman[Symbol.asyncDispose]();
  for (const netns of [host, client]) netns[Symbol.dispose]();
});

const fetch = async (from: Netns, address: string, port: number) =>
  (await from.run("busybox", "nc", "-w", "10", address, String(port))).stdout;

const answers = (address: string) =>
  until(async () => (await host.run("busybox", "ping", "-c", "1", "-W", "5", address)).exitCode === 0);

test("podman run --publish: a port of the host leads to the container in its VM", options, async () => {
  const server = ["nc", "-ll", "-p", "80", "-e", "echo", "a page"];
  await podman.ok(["run", "-d", "--name", "web", "--publish", "8080:80", "--cap-add", "NET_RAW", "busybox", ...server]);
  const address = await podman.inspect("web", "{{.NetworkSettings.IPAddress}}");
  await until(async () => (await fetch(host, address, 80)) === "a page\n");
  await until(async () => (await fetch(client, "192.0.2.1", 8080)) === "a page\n");
  assert.match(
    await podman.ok(["exec", "web", "ip", "-4", "addr", "show", "dev", "eth0"]),
    new RegExp(`inet ${address}/16`),
  );
  assert.match(await podman.ok(["exec", "web", "cat", "/etc/resolv.conf"]), /nameserver|^$/m);
  await podman.ok(["exec", "web", "ping", "-c", "2", "-W", "60", "192.0.2.9"]);
  await podman.ok(["rm", "--force", "--time", "0", "web"]);
});

test("podman restart gives the container a network again", options, async () => {
  await podman.ok(["run", "-d", "--name", "again", "busybox", "sleep", "1000"]);
  await podman.ok(["restart", "--time", "0", "again"]);
  const address = await podman.inspect("again", "{{.NetworkSettings.IPAddress}}");
  await answers(address);
  await podman.ok(["rm", "--force", "--time", "0", "again"]);
});

// Without name servers: podmans in different network namespaces have one aardvark-dns, which ends with the networks of the first.
test("podman run with two networks", options, async () => {
  for (const [name, subnet] of [
    ["one", "10.91.0.0/24"],
    ["two", "10.92.0.0/24"],
  ] as const) {
    await podman.ok(["network", "create", "--disable-dns", "--subnet", subnet, name]);
  }
  await podman.ok(["run", "-d", "--name", "both", "--network", "one,two", "busybox", "sleep", "1000"]);
  for (const network of ["one", "two"]) {
    const address = await podman.inspect("both", `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`);
    await answers(address);
  }
  await podman.ok(["rm", "--force", "--time", "0", "both"]);
});

for (const [what, network, flags] of [
  ["that runs", "93", []],
  ["with a user namespace that runs", "94", ["--uidmap", "0:100000:5000", "--gidmap", "0:200000:5000"]],
] as const) {
  test(`podman network connect and disconnect reach a container ${what}`, options, async () => {
    const name = `later${network}`;
    await podman.ok(["network", "create", "--disable-dns", "--subnet", `10.${network}.0.0/24`, name]);
    await podman.ok(["run", "-d", "--name", "late", ...flags, "busybox", "sleep", "1000"]);
    await podman.ok(["network", "connect", name, "late"]);
    const address = await podman.inspect("late", `{{(index .NetworkSettings.Networks "${name}").IPAddress}}`);
    const links = () => podman.ok(["exec", "late", "ip", "-4", "addr"]);
    // Until the guest has it, the namespace's own kernel answers in its place.
    await until(async () => (await links()).includes(`inet ${address}/24`));
    await answers(address);
    await podman.ok(["network", "disconnect", name, "late"]);
    await until(async () => !(await links()).includes(address));
    // With mapped ids podman 4's own clean-up may unmount /dev/shm in another mount namespace, and rm is EBUSY once; so with runc.
    await until(async () => (await podman.run(["rm", "--force", "--time", "0", "late"])).exitCode === 0);
  });
}
