import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { link, ScratchNamespace } from "../../test/harness/namespaces.ts";
import { assignDevices } from "./assignment.ts";
import { type Dump, readNamespace } from "./dump.ts";
import { contentRequests, FIRST_GUEST_INDEX, linkRequests, moveRequests } from "./guest-requests.ts";
import { IN6_ADDR_GEN_MODE_EUI64, IN6_ADDR_GEN_MODE_NONE } from "./link.ts";
import { selectLinks } from "./selection.ts";
import { transact } from "./transact.ts";

const options = process.getuid?.() === 0 ? {} : { skip: "needs root" };
const EMPTY: Dump = { links: [], addresses: [], routes: [], rules: [], neighbours: [] };

/** Like the guest's: interfaces numbered from FIRST_GUEST_INDEX, down, with other addresses. */
function guestLike(count: number, outside: ScratchNamespace): ScratchNamespace {
  const guest = new ScratchNamespace();
  for (let device = 0; device < count; device++) {
    guest.veth(`eth${device}`, outside, `guest${device}`, ` index ${FIRST_GUEST_INDEX + device}`);
  }
  return guest;
}

/** What `ip` shows of a namespace, without what is a matter of time, of place or of the version of `ip`. */
function shown(namespace: ScratchNamespace, devices: string): string {
  const lines = (commands: string) => namespace.ip(commands).split("\n");
  return [
    ...devices
      .split(" ")
      .flatMap((name) => [
        ...lines(`-o link show dev ${name}`).map((line) => /mtu \d+|link\/ether \S+/g.exec(line)?.[0] ?? ""),
        ...lines(`-o addr show dev ${name}`).map((line) =>
          line.replace(/^\d+: /, "").replace(/ (tentative|nodad|proto kernel_ll)/g, ""),
        ),
      ]),
    ...lines("-4 route show table all").filter((line) => !/table local|proto kernel/.test(line)),
    ...lines("-6 route show table all").filter((line) => !/table local|proto kernel/.test(line)),
    ...lines("-4 rule show"),
    ...lines("-6 rule show"),
    ...lines("neigh show nud permanent"),
  ].join("\n");
}

/** Copies a namespace as the host does it for a guest, and compares. */
async function copies(source: ScratchNamespace, outside: ScratchNamespace, names: string): Promise<void> {
  using from = source.socket();
  const dump = readNamespace(from);
  const links = selectLinks(dump.links);
  const devices = assignDevices(links, new Map(), links.length);
  using guest = guestLike(links.length, outside);
  using to = guest.socket();
  transact(to, [...linkRequests({ ...dump, links }, devices), ...contentRequests(dump, devices)]);
  // Carriers, and addresses that links make themselves, come some time later.
  for (const end = performance.now() + 30_000; performance.now() < end; await sleep(100)) {
    if (shown(guest, names) === shown(source, names)) return;
  }
  assert.equal(shown(guest, names), shown(source, names));
}

test(
  "linkRequests and contentRequests copy MAC, MTU, name, addresses, routes, rules and neighbours",
  options,
  async () => {
    using outside = new ScratchNamespace();
    using source = new ScratchNamespace();
    source.veth("eth0", outside, "far0");
    source.ip(`link set eth0 address 02:00:5e:10:20:30 mtu 9000
             addr add 192.168.10.101/24 brd + dev eth0
             addr add 192.168.10.102/24 dev eth0
             addr add 10.9.0.1 peer 10.9.0.2/32 dev eth0
             -6 addr add fd00:10::101/64 dev eth0 nodad
             addr add 10.200.0.1/16 dev eth0 noprefixroute
             link set eth0 up
             route add default via 192.168.10.1 metric 7
             route add 169.254.1.1 dev eth0 scope link
             route add 10.77.0.0/16 via 192.168.10.3 src 192.168.10.102 mtu lock 1400
             route add 10.78.0.0/16 via 10.79.0.1 dev eth0 onlink
             route add 10.80.0.0/16 nexthop via 192.168.10.4 weight 3 nexthop via 192.168.10.5 weight 1
             route add blackhole 10.81.0.0/16
             route add 10.82.0.0/16 via inet6 fd00:10::5 dev eth0
             route add default via 192.168.10.9 table 100
             -6 route add default via fd00:10::1 dev eth0
             -6 route add fd00:20::/48 via fd00:10::2 metric 30
             -6 route add unreachable fd00:30::/48
             rule add from 192.168.10.102 lookup 100 priority 1000
             -6 rule add iif eth0 lookup 100 priority 1001
             neigh add 192.168.10.1 lladdr 02:00:5e:00:00:01 dev eth0 nud permanent
             -6 neigh add fd00:10::1 lladdr 02:00:5e:00:00:01 dev eth0 nud permanent`);
    await copies(source, outside, "eth0");
  },
);

test(
  "linkRequests and contentRequests copy several interfaces by name, whatever their order and kind",
  options,
  async () => {
    using outside = new ScratchNamespace();
    using source = new ScratchNamespace();
    source.veth("eth1", outside, "far1");
    source.veth("eth0", outside, "far0");
    outside.ip(`link add macvlan0 link far0 netns ${source.path} type macvlan mode bridge`);
    source.ip(`tuntap add tap0 mode tap
             link set macvlan0 address 02:00:00:00:aa:01 addrgenmode none
             link set eth0 addrgenmode none
             link set eth1 addrgenmode none
             link set tap0 addrgenmode none
             addr add 10.1.0.2/24 dev eth1
             addr add 10.0.0.2/24 dev eth0
             addr add 10.2.0.2/24 dev macvlan0
             addr add 10.3.0.2/24 dev tap0
             link set eth0 up
             link set macvlan0 up
             link set tap0 up
             route add default via 10.0.0.1
             route add 10.9.0.0/16 via 10.2.0.1`);
    await copies(source, outside, "eth0 eth1 macvlan0 tap0");
  },
);

test(
  "linkRequests lets a link make its link-local address where it has none yet, and where it shall have one",
  options,
  () => {
    using outside = new ScratchNamespace();
    using source = new ScratchNamespace();
    source.veth("eth0", outside, "far0");
    using socket = source.socket();
    const mode = (): number | undefined =>
      linkRequests(readNamespace(socket), new Map([[2, 0]]))[0]
        ?.attributes.at(-1)
        ?.value.at(-4);
    assert.equal(mode(), IN6_ADDR_GEN_MODE_EUI64, "the link is down");
    source.ip("-6 addr add fe80::1/64 dev eth0 nodad");
    assert.equal(mode(), IN6_ADDR_GEN_MODE_NONE, "it has one");
    source.ip("-6 addr flush dev eth0");
    assert.equal(mode(), IN6_ADDR_GEN_MODE_EUI64);
    source.command("sysctl", "-qw net.ipv6.conf.eth0.disable_ipv6=1");
    assert.equal(mode(), IN6_ADDR_GEN_MODE_NONE, "it shall have none");
  },
);

test("contentRequests brings nothing for what the guest has by itself, or what is no business of its", () => {
  const loopback = {
    header: Buffer.from([2, 8, 0x80, 254, 1, 0, 0, 0]),
    attributes: [{ type: 2, value: Buffer.of(127, 0, 0, 1) }],
  };
  const route = (table: number, protocol: number, type: number) => ({
    header: Buffer.of(2, 0, 0, 0, table, protocol, 0, type, 0, 0, 0, 0),
    attributes: [],
  });
  const dump = {
    ...EMPTY,
    addresses: [loopback],
    routes: [route(255, 3, 1), route(254, 2, 1), route(254, 9, 1), route(254, 3, 2)],
  };
  assert.deepEqual(contentRequests(dump, new Map()), []);
});

test("contentRequests names the route through an interface that the guest does not get", () => {
  const oif = { type: 4, value: Buffer.of(7, 0, 0, 0) };
  const destination = { type: 1, value: Buffer.of(10, 0, 0, 0) };
  const route = { header: Buffer.of(2, 24, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0), attributes: [destination, oif] };
  const dump = { ...EMPTY, links: [link({ index: 7, name: "wg0" })], routes: [route] };
  assert.throws(() => contentRequests(dump, new Map()), {
    code: "CAISSON_E_NETWORK",
    message: "cannot copy the route to 10.0.0.0/24 into the VM: it leads through wg0, which the VM does not get",
  });
});

test("moveRequests takes an interface into the namespace of a process", options, () => {
  using outside = new ScratchNamespace();
  using guest = guestLike(1, outside);
  using container = new ScratchNamespace();
  const process = container.run(() => spawn("sleep", ["100"], { stdio: "ignore" }));
  try {
    using socket = guest.socket();
    transact(socket, moveRequests([link()], new Map([[link().index, 0]]), process.pid as number));
    assert.match(container.ip("link show"), /2: eth0/);
    assert.doesNotMatch(guest.ip("link show"), /eth0/);
  } finally {
    process.kill("SIGKILL");
  }
});
