import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { detached, errorOf, Host, until } from "../harness/host.ts";
import { becomes, inNetns, Netns } from "../harness/network.ts";
import { qemusOf } from "../harness/qemu.ts";

const host = new Host();
afterEach(async () => {
  const left = await host.remains();
  await host.clear();
  assert.deepEqual(left, []);
});
after(() => host[Symbol.asyncDispose]());

const exec = (id: string, script: string) => host.ok(["exec", id, "sh", "-c", script]);
const answers = (from: Netns, address: string) =>
  until(async () => (await from.run("busybox", "ping", "-c", "1", "-W", "5", address)).exitCode === 0);
const reaches = (id: string, ...ping: string[]) =>
  until(async () => (await host.run(["exec", id, "ping", "-c", "1", "-W", "5", ...ping])).exitCode === 0);
const daemonPid = async (id: string): Promise<number> => JSON.parse(await host.ok(["state", id])).pid;
const qemuPid = async (id: string) => qemusOf(await daemonPid(id))[0] ?? assert.fail("it has no QEMU");

/** The classic: a bridge outside, a veth pair from it into the container's network namespace. */
function bridged(outside: Netns, inside: Netns, mtu = 1500): void {
  outside.ip(`link add br0 type bridge
              addr add 192.168.10.1/24 dev br0
              -6 addr add fd00:10::1/64 dev br0 nodad
              link set br0 up`);
  inside.veth(`eth0 mtu ${mtu}`, outside, `port0 mtu ${mtu}`);
  outside.ip("link set port0 master br0");
  inside.ip(`addr add 192.168.10.101/24 dev eth0
             -6 addr add fd00:10::101/64 dev eth0 nodad
             route add default via 192.168.10.1
             -6 route add default via fd00:10::1`);
}

test("a VM answers at the addresses of its network namespace, and leaves it as it was", async () => {
  using outside = new Netns();
  using inside = new Netns();
  bridged(outside, inside, 9000);
  inside.ip("neigh add 192.168.10.77 lladdr 02:00:5e:00:00:4d dev eth0 nud permanent");
  using bundle = inNetns(new Bundle(), inside.path);
  const resolver = join(bundle.directory, "resolv.conf");
  writeFileSync(resolver, "nameserver 192.168.10.1\n");
  bundle.spec.mounts?.push({
    destination: "/etc/resolv.conf",
    type: "bind",
    source: resolver,
    options: ["bind", "ro"],
  });
  bundle.spec.linux = { ...bundle.spec.linux, sysctl: { "net.ipv4.ip_unprivileged_port_start": "80" } };
  bundle.write();
  const before = await inside.settled();

  const id = await host.start(bundle);
  await answers(outside, "192.168.10.101");
  await answers(outside, "fd00:10::101");
  for (const address of ["192.168.10.1", "fd00:10::1"]) await reaches(id, address);
  // The packets go both ways without fragmentation.
  await reaches(id, "-s", "8900", "192.168.10.1");

  const mac = /link\/ether (\S+)/.exec(inside.ip("link show eth0"))?.[1] ?? "none";
  const seen = await exec(id, "ip addr; ip route; ip -6 route; ip neigh; cat /etc/resolv.conf; ls /sys/class/net");
  for (const expected of [
    `link/ether ${mac}`,
    "mtu 9000",
    "inet 192.168.10.101/24",
    "inet6 fd00:10::101/64",
    "default via 192.168.10.1 dev eth0",
    "default via fd00:10::1 dev eth0",
    "192.168.10.77 dev eth0 lladdr 02:00:5e:00:00:4d",
    "nameserver 192.168.10.1",
  ])
    assert.ok(seen.includes(expected), `${expected} is missing in:\n${seen}`);
  assert.match(seen, /\neth0\nlo\n$/);
  assert.equal(await exec(id, "cat /proc/sys/net/ipv4/ip_unprivileged_port_start"), "80\n");

  await host.ok(["delete", "--force", id]);
  await inside.returnsTo(before);
});

/** Prints the SHA-256 of what the first connection brings. */
const SUM_OF_CONNECTION = `
  const server = require("node:net").createServer(async (socket) => {
    const sum = require("node:crypto").createHash("sha256");
    for await (const chunk of socket) sum.update(chunk);
    process.stdout.write(sum.digest("hex"));
    server.close();
  }).listen(7001);
  setTimeout(() => process.exit(1), 300_000).unref();`;

test("TCP goes both ways, checksums and segmentation left to whoever comes last", async () => {
  using outside = new Netns();
  using inside = new Netns();
  bridged(outside, inside);
  using bundle = inNetns(
    new Bundle(["nc", "-ll", "-p", "7000", "-e", "sh", "-c", "dd bs=1M count=4 if=/dev/zero 2>/dev/null"]),
    inside.path,
  );
  const id = await host.start(bundle);
  let fetched = "";
  await until(async () => {
    const { stdout, stderr } = await outside.run("sh", "-c", "busybox nc -w 90 192.168.10.101 7000 </dev/null | wc -c");
    fetched = stdout.trim();
    return stderr === "";
  });
  assert.equal(fetched, String(4 * 1024 * 1024));
  const sums = outside.run(process.execPath, "--eval", SUM_OF_CONNECTION);
  await until(async () => (await outside.run("busybox", "netstat", "-ltn")).stdout.includes(":7001"));
  await exec(id, "seq 1 300000 | nc -w 90 192.168.10.1 7001");
  assert.equal(
    (await sums).stdout,
    execFileSync("sh", ["-c", "seq 1 300000 | sha256sum | head -c 64"], { encoding: "utf8" }),
  );
  await host.ok(["delete", "--force", id]);
});

test("several interfaces of several kinds each lead where they did", async () => {
  using outside = new Netns();
  using inside = new Netns();
  // The one that is called eth1 comes first, so that order and name differ.
  inside.veth("eth1", outside, "far1");
  inside.veth("eth0", outside, "far0");
  outside.ip(`link add lower type bridge
              link set lower up
              link add gate link lower type macvlan mode bridge
              link set gate up
              link add net0 link lower netns ${inside.name} type macvlan mode bridge
              addr add 10.0.0.1/24 dev far0
              addr add 10.1.0.1/24 dev far1
              addr add 10.2.0.1/24 dev gate`);
  inside.ip(`link set net0 up
             addr add 10.0.0.2/24 dev eth0
             addr add 10.1.0.2/24 dev eth1
             addr add 10.2.0.2/24 dev net0`);
  const before = await inside.settled();
  using bundle = inNetns(new Bundle(), inside.path);
  const id = await host.start(bundle);
  for (const network of [0, 1, 2]) await answers(outside, `10.${network}.0.2`);
  const names = await exec(id, "ip -4 -o addr");
  for (const [network, name] of ["eth0", "eth1", "net0"].entries()) {
    assert.match(names, new RegExp(`${name} +inet 10\\.${network}\\.0\\.2/24`));
  }
  await host.ok(["delete", "--force", id]);
  await inside.returnsTo(before);
});

test("whatever kills a sandbox, its network namespace is as it was once the container is deleted", async () => {
  using outside = new Netns();
  using inside = new Netns();
  bridged(outside, inside);
  const before = await inside.settled();
  using bundle = inNetns(new Bundle(), inside.path);
  for (const victim of [daemonPid, qemuPid]) {
    const id = await host.start(bundle);
    await answers(outside, "192.168.10.101");
    process.kill(await victim(id), "SIGKILL");
    await host.stopped(id);
    await host.ok(["delete", id]);
    await inside.returnsTo(before);
  }
});

test("a namespace whose sandbox was killed can be used again before the old container is deleted", async () => {
  using outside = new Netns();
  using inside = new Netns();
  bridged(outside, inside);
  const before = inside.tc("qdisc show");
  using bundle = inNetns(new Bundle(), inside.path);
  const old = await host.start(bundle);
  process.kill(await daemonPid(old), "SIGKILL");
  await until(() => !inside.ip("link show").includes("caisson"));
  const id = await host.start(bundle);
  await answers(outside, "192.168.10.101");
  await host.ok(["delete", "--force", old]);
  await answers(outside, "192.168.10.101");

  // By another path, and of a host whose records do not show the other one.
  const other = `/proc/${await daemonPid(id)}/ns/net`;
  await using stranger = new Host();
  inNetns(bundle, other);
  const third = await stranger.run(["run", "--bundle", bundle.directory, stranger.id()]);
  assert.match(errorOf(third), /cannot connect eth0 to the VM: another sandbox's VM has it \(caisson\d+\)/);
  await answers(outside, "192.168.10.101");
  await host.ok(["delete", "--force", id]);
  await becomes(() => inside.tc("qdisc show"), before);
});

test("a network namespace that another container has is refused, whatever it is called", async () => {
  using inside = new Netns();
  using bundle = inNetns(new Bundle(), inside.path);
  const id = await host.start(bundle);
  using other = inNetns(new Bundle(["true"]), `/proc/${process.pid}/root${inside.path}`);
  const run = () => host.run(["run", "--bundle", other.directory, host.id()]);
  const refused = await run();
  assert.equal(refused.exitCode, 1);
  assert.match(errorOf(refused), new RegExp(`is the network namespace of container ${id}, whose VM has it`));
  assert.equal(await host.status(id), "running");
  await host.ok(["delete", "--force", id]);
  assert.equal((await run()).exitCode, 0);
});

test("interfaces that come between create and start are the container's", async () => {
  using outside = new Netns();
  using bundle = inNetns(new Bundle(), undefined);
  const id = host.id();
  await detached(host, ["create", "--bundle", bundle.directory, id]);
  const pid = await daemonPid(id);
  outside.ip(`link add far type veth peer name eth0 netns ${pid}
              addr add 10.0.0.1/24 dev far
              link set far up`);
  const ip = (command: string) => execFileSync("nsenter", [`--net=/proc/${pid}/ns/net`, "ip", ...command.split(" ")]);
  ip("addr add 10.0.0.2/24 dev eth0");
  ip("link set eth0 up");
  ip("route add default via 10.0.0.1");
  await host.ok(["start", id]);
  await answers(outside, "10.0.0.2");
  assert.match(await exec(id, "ip route"), /default via 10\.0\.0\.1 dev eth0/);
  await host.ok(["delete", "--force", id]);
});

test("interfaces that come late join a namespace that was empty, also more than the VM has devices for", async () => {
  using outside = new Netns();
  using inside = new Netns();
  using bundle = inNetns(new Bundle(), inside.path);
  const before = await inside.settled();
  const id = host.id();
  await detached(host, ["create", "--bundle", bundle.directory, id]);
  for (const net of [0, 1]) {
    inside.veth(`wan${net}`, outside, `far${net}`);
    outside.ip(`addr add 10.0.${net}.1/24 dev far${net}`);
    inside.ip(`addr add 10.0.${net}.2/24 dev wan${net}`);
  }
  await host.ok(["start", id]);
  for (const net of [0, 1]) {
    assert.match(await exec(id, `ip -4 addr show dev wan${net}`), new RegExp(`inet 10\\.0\\.${net}\\.2/24`));
    await answers(outside, `10.0.${net}.2`);
  }
  await host.ok(["delete", "--force", id]);
  inside.ip(`link delete wan0
             link delete wan1`);
  await inside.returnsTo(before);
});

test("a container with a new network namespace has loopback only, as has one whose namespace is empty", async () => {
  using bundle = inNetns(new Bundle(["sh", "-c", "ls /sys/class/net; ping -c 1 127.0.0.1"]), undefined);
  assert.match(await host.ok(["run", "--bundle", bundle.directory, host.id()]), /^lo\n.*1 packets received/s);
});

test("the host's own network is refused, and so is what cannot be connected", async () => {
  using bundle = inNetns(new Bundle(["true"]), "/proc/self/ns/net");
  const refused = async (pattern: RegExp) => {
    assert.match(errorOf(await host.run(["run", "--bundle", bundle.directory, host.id()])), pattern);
  };
  await refused(/is the host's own network, which a VM cannot share/);
  inNetns(bundle, "/run/netns/test-absent");
  await refused(/cannot open the network namespace \/run\/netns\/test-absent: .*\(ENOENT\)/);
  const namespaces = bundle.spec.linux?.namespaces?.filter(({ type }) => type !== "network");
  bundle.spec.linux = { ...bundle.spec.linux, namespaces };
  bundle.write();
  await refused(/linux\.namespaces: a network namespace is missing.* Add \{"type": "network"\}/);

  using inside = new Netns();
  inside.ip(`tuntap add tun0 mode tun
             link set tun0 up`);
  inNetns(bundle, inside.path);
  const before = await inside.settled();
  await refused(/cannot connect tun0 to the VM: it is no Ethernet interface/);
  await inside.returnsTo(before);
});
