/** What comes into a container's network namespace, changes in it and leaves it while the container runs. */
import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { detached, Host, until } from "../harness/host.ts";
import { inNetns, Netns } from "../harness/network.ts";

const host = new Host();
afterEach(async () => {
  const left = await host.remains();
  await host.clear();
  assert.deepEqual(left, []);
});
after(() => host[Symbol.asyncDispose]());

const exec = (id: string, script: string) => host.ok(["exec", id, "sh", "-c", script]);
const shows = (id: string, script: string, expected: RegExp) =>
  until(async () => expected.test(await exec(id, script)));
const hides = (id: string, script: string, unexpected: RegExp) =>
  until(async () => !unexpected.test(await exec(id, script)));
/** Until the guest has the interface, the namespace's own kernel answers in its place. */
const has = async (id: string, name: string, from: Netns, address: string) => {
  await shows(id, `ip -4 addr show dev ${name} || true`, new RegExp(`inet ${address.replaceAll(".", "\\.")}/`));
  await answers(from, address);
};
const answers = (from: Netns, address: string) =>
  until(async () => (await from.run("busybox", "ping", "-c", "1", "-W", "5", address)).exitCode === 0);

/** A wire into the namespace, as an engine puts it there: under another name first. */
function connect(inside: Netns, outside: Netns, name: string, net: number): void {
  inside.ip(`link add ${name}-tmp type veth peer name far${net} netns ${outside.name}
             link set ${name}-tmp name ${name}
             addr add 10.77.${net}.2/24 dev ${name}
             link set ${name} up`);
  outside.ip(`addr add 10.77.${net}.1/24 dev far${net}
              link set far${net} up`);
}

for (const machine of ["microvm", "q35"] as const) {
  test(`interfaces that come to a running container are the guest's, and leave it again: ${machine}`, () =>
    comeAndGo(machine));
}

async function comeAndGo(machine: "microvm" | "q35"): Promise<void> {
  using outside = new Netns();
  using inside = new Netns();
  connect(inside, outside, "eth0", 0);
  using bundle = inNetns(new Bundle(), inside.path);
  // Without a template of its own.
  const template = machine === "q35" ? { "io.caisson.template": "off" } : {};
  bundle.spec.annotations = { "io.caisson.machine": machine, ...template };
  bundle.write();
  const before = await inside.settled();
  const id = await host.start(bundle);
  await answers(outside, "10.77.0.2");

  connect(inside, outside, "eth1", 1);
  connect(inside, outside, "net1", 2);
  await has(id, "eth1", outside, "10.77.1.2");
  await has(id, "net1", outside, "10.77.2.2");
  const mac = /link\/ether (\S+)/.exec(inside.ip("link show eth1"))?.[1] ?? "none";
  assert.match(await exec(id, "ip link show eth1"), new RegExp(`link/ether ${mac}`));

  inside.ip("link del eth1\nlink del net1");
  await hides(id, "ip link", /eth1|net1/);
  // A slot is used again, and so is the device that the VM was started with.
  connect(inside, outside, "eth1", 1);
  await has(id, "eth1", outside, "10.77.1.2");
  inside.ip("link del eth0");
  await hides(id, "ip link", /eth0/);
  connect(inside, outside, "eth0", 0);
  await has(id, "eth0", outside, "10.77.0.2");

  inside.ip("link del eth1");
  await hides(id, "ip link", /eth1/);
  await host.ok(["delete", "--force", id]);
  assert.deepEqual([/caisson/.test(inside.state), /ingress/.test(inside.state)], [/caisson/.test(before), false]);
}

test("addresses and routes that change in a running container's namespace change in the guest", async () => {
  using outside = new Netns();
  using inside = new Netns();
  connect(inside, outside, "eth0", 0);
  inside.ip("route add default via 10.77.0.1");
  using bundle = inNetns(new Bundle(), inside.path);
  const id = await host.start(bundle);
  inside.ip(
    "route replace default via 10.77.0.254\naddr add 10.77.0.3/24 dev eth0\nroute add 10.99.0.0/16 via 10.77.0.1",
  );
  await shows(id, "ip route", /default via 10\.77\.0\.254[\s\S]*10\.99\.0\.0\/16 via 10\.77\.0\.1/);
  assert.doesNotMatch(await exec(id, "ip route"), /default via 10\.77\.0\.1 /);
  await answers(outside, "10.77.0.3");
  inside.ip("addr del 10.77.0.3/24 dev eth0\nroute del 10.99.0.0/16");
  await hides(id, "ip addr; ip route", /10\.77\.0\.3|10\.99/);
  await answers(outside, "10.77.0.2");
  await host.ok(["delete", "--force", id]);
});

test("interfaces come to a container that has its network namespace by its user namespace, and leave it", async () => {
  using outside = new Netns();
  using bundle = inNetns(new Bundle(), undefined);
  const mappings = [{ containerID: 0, hostID: 0, size: 65536 }];
  const { linux } = bundle.spec;
  const namespaces = [...(linux?.namespaces ?? []), { type: "user" as const }];
  bundle.spec.linux = { ...linux, namespaces, uidMappings: mappings, gidMappings: mappings };
  bundle.write();
  const id = host.id();
  await detached(host, ["create", "--bundle", bundle.directory, id]);
  const { pid } = JSON.parse(await host.ok(["state", id])) as { pid: number };
  using inside = new Netns(pid);
  // As engines do that leave the namespace to the runtime: what is there before the start, and what comes later.
  connect(inside, outside, "eth0", 0);
  connect(inside, outside, "eth1", 1);
  await host.ok(["start", id]);
  await has(id, "eth0", outside, "10.77.0.2");
  await has(id, "eth1", outside, "10.77.1.2");
  connect(inside, outside, "net1", 2);
  await has(id, "net1", outside, "10.77.2.2");
  inside.ip("link del net1\nlink del eth0");
  await hides(id, "ip link", /eth0|net1/);
  connect(inside, outside, "eth0", 0);
  await has(id, "eth0", outside, "10.77.0.2");
  inside.ip("addr add 10.77.1.3/24 dev eth1");
  await has(id, "eth1", outside, "10.77.1.3");
  await host.ok(["delete", "--force", id]);
});
