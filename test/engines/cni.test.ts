import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Bundle } from "../harness/bundle.ts";
import { CniNetwork, whyNoCni } from "../harness/cni.ts";
import { Host, until } from "../harness/host.ts";
import { inNetns, Netns } from "../harness/network.ts";

const host = new Host();
after(() => host[Symbol.asyncDispose]());

test("a network of CNI's bridge, portmap, firewall and bandwidth plugins", { skip: whyNoCni() ?? false }, async () => {
  using node = new Netns();
  using client = new Netns();
  using pod = new Netns();
  node.veth("uplink", client, "eth0");
  node.ip("addr add 192.0.2.1/24 dev uplink");
  client.ip(`addr add 192.0.2.9/24 dev eth0
             route add default via 192.0.2.1`);
  using network = new CniNetwork(node, (dataDir) => [
    {
      type: "bridge",
      ...{ bridge: "cni0", isGateway: true, ipMasq: true, hairpinMode: true },
      ipam: {
        type: "host-local",
        dataDir,
        ranges: [[{ subnet: "10.213.0.0/24" }], [{ subnet: "fd00:213::/64" }]],
        routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
      },
    },
    {
      type: "portmap",
      capabilities: { portMappings: true },
      runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] },
    },
    { type: "firewall" },
    { type: "bandwidth", ingressRate: 80e6, ingressBurst: 8e6, egressRate: 80e6, egressBurst: 8e6 },
  ]);
  network.add(pod);
  try {
    const server = ["nc", "-ll", "-p", "80", "-e", "echo", "a page"];
    using bundle = inNetns(new Bundle(server), pod.path);
    const id = await host.start(bundle);
    const page = async (address: string, port: number) =>
      (await client.run("busybox", "nc", "-w", "10", address, String(port))).stdout;
    await until(async () => (await page("192.0.2.1", 8080)) === "a page\n");
    // Out again: the client knows no way to 10.213.0.0/24, so this goes by the bridge's masquerading.
    await host.ok(["exec", id, "ping", "-c", "2", "-W", "60", "192.0.2.9"]);
    assert.match(await host.ok(["exec", id, "ip", "-6", "addr"]), /inet6 fd00:213::\w+\/64 scope global/);
    await host.ok(["delete", "--force", id]);
    assert.doesNotMatch(pod.tc("qdisc show"), /ingress/);
  } finally {
    network.remove(pod);
  }
  assert.doesNotMatch(pod.ip("link show"), /eth0/);
});
