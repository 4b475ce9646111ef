import assert from "node:assert/strict";
import { closeSync, readSync, writeSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openTap, type Tap } from "../../native/posix/index.ts";
import { ScratchNamespace } from "../../test/harness/namespaces.ts";
import { type Link, readLinks } from "./dump.ts";
import { hostLoopbackRequests, ownLoopback, shieldLoopback } from "./loopback.ts";
import { restoreNetwork } from "./restore.ts";
import { connect } from "./tc-redirect.ts";
import { transact } from "./transact.ts";

const options = process.getuid?.() === 0 ? {} : { skip: "needs root" };

/** struct virtio_net_hdr, all zero; then an Ethernet header. */
const OFFLOAD_HEADER = 10;
const IP_HEADER = OFFLOAD_HEADER + 14;
const DESTINATION = IP_HEADER + 16;
/** From 192.0.2.7, 46 bytes, a protocol for experiments. */
const HEADER = "4500002e0000400040fd0000c0000207";
const SENDER = "02005e000001";
const LIMIT_MS = 30_000;
const PAUSE_MS = 10;
const PROBE = [1, 2, 3, 4] as const;

/** An Ethernet frame with an IPv4 header, to that address. */
function packet(...address: number[]): Buffer {
  const frame = Buffer.alloc(IP_HEADER + 46);
  Buffer.from(`ffffffffffff${SENDER}0800${HEADER}`, "hex").copy(frame, OFFLOAD_HEADER);
  Buffer.from(address).copy(frame, DESTINATION);
  let sum = 0;
  for (let at = IP_HEADER; at < IP_HEADER + 20; at += 2) sum += frame.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  frame.writeUInt16BE(~sum & 0xffff, IP_HEADER + 10);
  return frame;
}

/** The destinations of what came from SENDER, up to that one. @param again while nothing comes. */
async function received({ fd }: Tap, last: string, again = () => {}): Promise<string[]> {
  const addresses: string[] = [];
  const data = Buffer.alloc(9000);
  for (const end = performance.now() + LIMIT_MS; addresses.at(-1) !== last && performance.now() < end; ) {
    try {
      readSync(fd, data);
      if (data.toString("hex", OFFLOAD_HEADER + 6, OFFLOAD_HEADER + 12) !== SENDER) continue;
      addresses.push([...data.subarray(DESTINATION, DESTINATION + 4)].join("."));
    } catch {
      again();
      await sleep(PAUSE_MS);
    }
  }
  return addresses;
}

test("shieldLoopback() drops what the wire sends to loopback addresses, and nothing else", options, async () => {
  using outside = new ScratchNamespace();
  using inside = new ScratchNamespace();
  inside.veth("eth0", outside, "far0");
  inside.ip("link set eth0 up");
  const [tap, far] = [inside.run(() => openTap("caisson%d")), outside.run(() => openTap("player%d"))];
  try {
    outside.ip(`link add br0 type bridge
                link set br0 up addrgenmode none
                link set ${far.name} up addrgenmode none master br0
                link set far0 master br0`);
    using socket = inside.socket();
    const links = readLinks(socket);
    const eth0 = links.find(({ name }) => name === "eth0") as Link;
    connect(socket, eth0, tap, links);
    transact(socket, [shieldLoopback(eth0)]);
    transact(socket, hostLoopbackRequests(eth0, tap));
    // The bridge may forward only later.
    await received(tap, PROBE.join("."), () => writeSync(far.fd, packet(...PROBE)));
    for (const address of [
      [126, 0, 0, 1],
      [127, 0, 0, 1],
      [127, 255, 3, 4],
      [128, 0, 0, 1],
      [10, 1, 2, 3],
    ]) {
      writeSync(far.fd, packet(...address));
    }
    const passed = (await received(tap, "10.1.2.3")).filter((address) => address !== PROBE.join("."));
    assert.deepEqual(passed, ["126.0.0.1", "128.0.0.1", "10.1.2.3"]);
  } finally {
    for (const { fd } of [tap, far]) closeSync(fd);
  }
});

test("restoreNetwork() gives a namespace its 127.0.0.1 back, once", options, () => {
  using namespace = new ScratchNamespace();
  using socket = namespace.socket();
  const before = namespace.ip("addr show lo");
  transact(socket, [ownLoopback(false)]);
  assert.notEqual(namespace.ip("addr show lo"), before);
  const changes = { namespace: namespace.path, interfaces: [], loopback: true };
  restoreNetwork(changes);
  restoreNetwork(changes);
  assert.equal(namespace.ip("addr show lo"), before);
});
