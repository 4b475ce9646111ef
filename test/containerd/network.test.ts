import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { until } from "../harness/host.ts";
import { becomes, Netns, settled } from "../harness/network.ts";
import { isRunning, qemusOf } from "../harness/qemu.ts";
import type { Cri } from "./cri.ts";
import { Engine, options, whyNot } from "./engine.ts";
import { Pod } from "./pod.ts";
import { nothingRemains } from "./remains.ts";

const NAMESPACES = "/run/netns";
const CHAIN = [
  { type: "portmap", capabilities: { portMappings: true } },
  { type: "firewall" },
  { type: "bandwidth", capabilities: { bandwidth: true } },
];
/** 8080 on the node is 80 in the pod; kubelet's annotations for the bandwidth plugin. */
const SETTINGS = {
  portMappings: [{ protocol: 0, containerPort: 80, hostPort: 8080 }],
  annotations: { "kubernetes.io/ingress-bandwidth": "20M", "kubernetes.io/egress-bandwidth": "10M" },
};
const SERVER = ["sh", "-c", "echo a page > /tmp/page && exec httpd -f -p 80 -h /tmp"];

let node: Netns;
let client: Netns;
let engine: Engine;
let cri: Cri;
before(async () => {
  if (whyNot !== undefined) return;
  node = new Netns();
  client = new Netns();
  node.veth("uplink", client, "eth0");
  node.ip("addr add 192.0.2.1/24 dev uplink");
  client.ip(`addr add 192.0.2.9/24 dev eth0
             route add default via 192.0.2.1`);
  engine = await Engine.start({ netns: node.path, plugins: CHAIN });
  cri = engine.cri();
});
after(async () => {
  if (whyNot !== undefined) return;
  cri[Symbol.dispose]();
  await engine.stop();
  client[Symbol.dispose]();
  node[Symbol.dispose]();
});

/** What pods may leave behind on a node: links, addresses, routes, limits and rules. */
function nodeState(): string {
  const rules = execFileSync("ip", ["netns", "exec", node.name, "iptables-save"], { encoding: "utf8" });
  return node.state + rules.replace(/^[#:].*\n/gm, "");
}

/** Asks a web server. Busybox' own wget cannot: on the host it would load libraries. */
function ask(address: string, port: number): string {
  return `printf 'GET /page HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 10 ${address} ${port}`;
}

async function page(from: Netns, address: string, port: number): Promise<string> {
  return (await from.run("sh", "-c", ask(address, port))).stdout.split("\r\n\r\n")[1] ?? "";
}

test("bridge, portmap, firewall and bandwidth under containerd, and nothing stays", options, async () => {
  // The plugins keep their bridge and their chains.
  await (await Pod.run(engine, cri, {}, SETTINGS))[Symbol.asyncDispose]();
  await nothingRemains(engine);
  const before = await settled(nodeState);
  engine.networkNamespaces.clear();
  {
    await using pod = await Pod.run(engine, cri, {}, SETTINGS);
    const server = await pod.container("server", SERVER);
    await until(async () => (await page(client, "192.0.2.1", 8080)) === "a page\n");
    const address = await pod.address();
    await until(async () => (await page(node, address, 80)) === "a page\n");
    // The client knows no way to the pod's address, so this goes by the bridge's masquerading.
    await pod.sh(server, "ping -c 2 -W 60 192.0.2.9");
    const limits = node.tc("qdisc show");
    assert.match(limits, /qdisc tbf .*rate 20Mbit/);
    assert.match(limits, /qdisc tbf .*rate 10Mbit/);
    assert.notEqual(nodeState(), before);
  }
  await nothingRemains(engine);
  await becomes(nodeState, before);
  for (const name of engine.networkNamespaces) assert.ok(!existsSync(join(NAMESPACES, name)), name);
});

test("nobody on the pod's wire reaches what listens on its loopback, which port-forward does", options, async () => {
  using neighbour = new Netns();
  node.veth(`plug0 master ${engine.bridge}`, neighbour, "eth0");
  await using pod = await Pod.run(engine, cri);
  const script = "echo a page > /tmp/page && httpd -p 127.0.0.1:8080 -h /tmp && exec httpd -f -p 80 -h /tmp";
  await pod.container("server", ["sh", "-c", script]);
  const address = await pod.address();
  neighbour.ip(`addr add ${address.replace(/\d+$/, "250")}/24 dev eth0
                addr delete 127.0.0.1/8 dev lo
                route add 127.0.0.0/8 via ${address}`);
  await neighbour.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet");
  await until(async () => (await page(neighbour, address, 80)) === "a page\n");
  const [name = assert.fail("the pod has no network namespace")] = [...engine.networkNamespaces].slice(-1);
  const forwarded = () =>
    execFileSync("ip", ["netns", "exec", name, "sh", "-c", `${ask("127.0.0.1", 8080)} || true`], { encoding: "utf8" });
  await until(() => forwarded().includes("a page"));
  assert.equal(await page(neighbour, "127.0.0.1", 8080), "");
});

test("a pod whose daemon is killed leaves its network namespace as it was", options, async () => {
  engine.networkNamespaces.clear();
  await using pod = await Pod.run(engine, cri);
  const [name = assert.fail("the pod has no network namespace")] = engine.networkNamespaces;
  const shown = (what: string) => execFileSync("sh", ["-c", what.replace("NETNS", name)], { encoding: "utf8" });
  assert.match(shown("tc -n NETNS qdisc show dev eth0"), /ingress/);
  await until(() => !/inet 127\.0\.0\.1/.test(shown("ip -n NETNS addr show lo")));
  const daemon = Number(
    (await engine.need("-n", "k8s.io", "task", "ls"))
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .find(([id]) => id === pod.id)?.[1],
  );
  const [qemu = assert.fail("the pod has no QEMU")] = qemusOf(daemon);
  process.kill(daemon, "SIGKILL");
  await until(() => !isRunning(qemu));
  await until(() => !/ingress/.test(shown("tc -n NETNS qdisc show dev eth0")));
  await until(() => /inet 127\.0\.0\.1\/8/.test(shown("ip -n NETNS addr show lo")));
  await until(() => !/caisson/.test(shown("ip -n NETNS link show")));
  await until(() => !/caisson|169\.254/.test(shown("ip -n NETNS route show table all")));
});
