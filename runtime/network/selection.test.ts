import assert from "node:assert/strict";
import { test } from "node:test";
import { link } from "../../test/harness/namespaces.ts";
import { IFF_LOOPBACK, IFF_UP } from "./link.ts";
import { selectLinks } from "./selection.ts";

const LOOPBACK = link({ index: 1, name: "lo", type: 772, flags: IFF_UP | IFF_LOOPBACK, kind: undefined });
const names = (...links: Parameters<typeof selectLinks>[0]) => selectLinks(links).map(({ name }) => name);

test("selectLinks takes Ethernet of every kind, up or down", () => {
  const kinds = [undefined, "veth", "macvlan", "ipvlan", "macvtap", "tun", "dummy", "vlan", "bridge", "bond"];
  const links = kinds.flatMap((kind, index) => [
    link({ index: 2 * index + 2, name: `up${index}`, kind }),
    link({ index: 2 * index + 3, name: `down${index}`, kind, flags: 0 }),
  ]);
  assert.equal(names(LOOPBACK, ...links).length, links.length);
});

test("selectLinks leaves out loopback, our taps, parts of others, and tunnels that are down", () => {
  const left = [
    LOOPBACK,
    link({ index: 3, name: "caisson0", kind: "tun" }),
    link({ index: 4, name: "port0", master: 9 }),
    link({ index: 5, name: "tunl0", type: 768, kind: "ipip", flags: 0 }),
    link({ index: 6, name: "sit0", type: 776, kind: "sit", flags: 0 }),
    link({ index: 7, name: "gretap0", kind: "gretap", flags: 0 }),
    link({ index: 8, name: "erspan0", kind: "erspan", flags: 0 }),
  ];
  assert.deepEqual(names(...left, link()), ["eth0"]);
  assert.deepEqual(names(link({ name: "gretap1", kind: "gretap" })), ["gretap1"]);
});

test("selectLinks refuses by name what is in use and cannot be connected", () => {
  assert.throws(() => names(link(), link({ index: 3, name: "wg0", type: 65534, kind: "wireguard" })), {
    code: "CAISSON_E_NETWORK",
    message: "cannot connect wg0 to the VM: it is no Ethernet interface",
  });
  assert.throws(() => names(link(), link({ index: 3, name: "eth0.7", kind: "vlan", lower: 2 })), {
    code: "CAISSON_E_NETWORK",
    message: "cannot connect eth0.7 to the VM: it is stacked on eth0, which the VM gets",
  });
  assert.deepEqual(names(link({ index: 3, name: "eth0.7", kind: "vlan", lower: 77 })), ["eth0.7"]);
});
