import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ScratchNamespace } from "../../test/harness/namespaces.ts";
import { readNamespace } from "./dump.ts";
import { FIRST_GUEST_INDEX } from "./guest-requests.ts";
import { encodeBatch } from "./message.ts";
import { selectLinks } from "./selection.ts";
import { ToldNetwork } from "./told.ts";
import { transact } from "./transact.ts";
import { NetworkWatch } from "./watch.ts";

const options = process.getuid?.() === 0 ? {} : { skip: "needs root" };

/** A namespace with eth0, and another one that is told of it, as a guest's is. */
function pair() {
  const outside = new ScratchNamespace();
  const source = new ScratchNamespace();
  const guest = new ScratchNamespace();
  source.veth("eth0", outside, "far");
  guest.veth("eth0", outside, "guest", ` index ${FIRST_GUEST_INDEX}`);
  const told = new ToldNetwork();
  const from = source.socket();
  const to = guest.socket();
  const copy = () => {
    const dump = readNamespace(from);
    const devices = new Map(selectLinks(dump.links).map(({ index }) => [index, 0]));
    for (const { requests } of told.tell(dump, devices, 0)) transact(to, requests);
    const undone = told.takeBack(dump, devices);
    if (undone.length > 0) to.transact(encodeBatch(undone));
    return undone.length;
  };
  return { source, guest, copy };
}

test(
  "ToldNetwork takes back addresses, routes and rules that are no longer there, and what goes with them is there again",
  options,
  () => {
    const { source, guest, copy } = pair();
    source.ip(
      "addr add 10.9.0.2/24 dev eth0\nlink set eth0 up\nroute add default via 10.9.0.1\nroute add 10.8.0.0/16 via 10.9.0.1\nrule add from 10.9.0.2 table 7",
    );
    copy();
    assert.match(guest.ip("route show"), /default via 10\.9\.0\.1/);
    assert.equal(copy(), 0, "what has not changed is not taken back");
    source.ip("addr del 10.9.0.2/24 dev eth0\naddr add 10.9.0.3/24 dev eth0");
    source.ip(
      "route replace default via 10.9.0.254\nroute replace 10.8.0.0/16 via 10.9.0.1\nrule del from 10.9.0.2 table 7",
    );
    copy();
    assert.match(guest.ip("-4 addr show dev eth0"), /inet 10\.9\.0\.3\/24/);
    assert.doesNotMatch(guest.ip("-4 addr show dev eth0"), /10\.9\.0\.2/);
    assert.equal(guest.ip("route show default").trim(), "default via 10.9.0.254 dev eth0");
    assert.match(guest.ip("route show"), /10\.8\.0\.0\/16 via 10\.9\.0\.1/);
    assert.doesNotMatch(guest.ip("rule show"), /10\.9\.0\.2/);
  },
);

test("ToldNetwork brings a link down and up again with its namespace's", options, () => {
  const { source, guest, copy } = pair();
  source.ip("addr add 10.9.0.2/24 dev eth0\nlink set eth0 up\nroute add default via 10.9.0.1");
  copy();
  source.ip("link set eth0 down");
  copy();
  assert.doesNotMatch(guest.ip("link show dev eth0"), /[<,]UP[,>]/);
  source.ip("link set eth0 up\nroute add default via 10.9.0.1");
  copy();
  assert.match(guest.ip("link show dev eth0"), /[<,]UP[,>]/);
  assert.match(guest.ip("route show default"), /via 10\.9\.0\.1/);
});

test(
  "NetworkWatch tells of changes of the namespace that it was made in, a moment later, until it is closed",
  options,
  async () => {
    const namespace = new ScratchNamespace();
    let told = 0;
    const watch = namespace.run(() => new NetworkWatch(() => told++));
    const until = async (count: number) => {
      for (let waited = 0; told < count && waited < 10_000; waited += 10) await sleep(10);
      assert.ok(told >= count, `told ${told} times`);
    };
    namespace.ip("link add dummy0 type veth peer name dummy1\nlink set dummy0 up\naddr add 10.1.1.1/24 dev dummy0");
    await until(1);
    const before = told;
    namespace.ip("addr del 10.1.1.1/24 dev dummy0");
    await until(before + 1);
    watch.close();
    watch.close();
    const last = told;
    namespace.ip("link del dummy0");
    await sleep(300);
    assert.equal(told, last);
  },
);
