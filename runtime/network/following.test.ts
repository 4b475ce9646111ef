import assert from "node:assert/strict";
import { test } from "node:test";
import { link } from "../../test/harness/namespaces.ts";
import type { Dump, Link } from "./dump.ts";
import { type FollowedNetwork, type FollowingVm, follow } from "./following.ts";

const dumpOf = (links: readonly Link[]): Dump => ({ links, addresses: [], routes: [], rules: [], neighbours: [] });

/** A namespace with these links, of which the VM has those of `has` by their devices; and what was done, in order. */
function pretend(links: readonly Link[], has: Map<number, number>, refuse?: string) {
  const done: string[] = [];
  const refused = (what: string) => {
    if (what === refuse) throw new Error("refused");
    done.push(what);
  };
  const network: FollowedNetwork = {
    survey: () => ({
      dump: dumpOf(links),
      gone: [...has]
        .filter(([index]) => !links.some((each) => each.index === index))
        .map(([index, device]) => ({ link: index, device })),
      late: links.filter(({ index }) => !has.has(index)),
    }),
    letGo: ({ link: index, device }) => {
      has.delete(index);
      return { index: 10 + device, isAdded: device > 0 };
    },
    reserve: ({ name }) => {
      refused(`reserve for ${name}`);
      return { device: has.size, added: has.size === 0 ? undefined : { tapFd: 7 } };
    },
    connectLate: (_, { index, name }, device, guestIndex) => {
      refused(`connect ${name} as ${guestIndex}`);
      has.set(index, device);
    },
    abandon: (device) => void done.push(`abandon ${device}`),
    untold: () => ({ steps: [{ pid: 0, requests: [] }], undone: { pid: 0, requests: [] } }),
  };
  const vm: FollowingVm = {
    isOver: false,
    async attach(device, added) {
      refused(`attach ${device} ${added?.tapFd ?? "started with"}`);
      return 10 + device;
    },
    async detach(device, index, isAdded) {
      refused(`detach ${device} ${index} ${isAdded}`);
    },
    async tell() {
      done.push("tell");
    },
  };
  return { network, vm, done, has };
}

test("follow gives the VM what has come, in a device that it has or in a new one", async () => {
  const { network, vm, done, has } = pretend(
    [link({ index: 2, name: "eth0" }), link({ index: 3, name: "eth1" })],
    new Map(),
  );
  await follow(network, vm);
  assert.deepEqual(done, [
    "reserve for eth0",
    "attach 0 started with",
    "connect eth0 as 10",
    "reserve for eth1",
    "attach 1 7",
    "connect eth1 as 11",
    "tell",
  ]);
  assert.deepEqual(
    [...has],
    [
      [2, 0],
      [3, 1],
    ],
  );
});

test("follow takes from the VM what has gone, before it gives it anything", async () => {
  const { network, vm, done } = pretend([link({ index: 9, name: "eth1" })], new Map([[3, 1]]));
  assert.equal(await follow(network, vm), true);
  assert.deepEqual(done.slice(0, 3), ["detach 1 11 true", "abandon 1", "reserve for eth1"]);
});

test("follow has an interface moved back to the guest that is in a container's own namespace, and then given up", async () => {
  const { network, vm, done } = pretend([], new Map([[3, 1]]));
  const moved: FollowedNetwork = {
    ...network,
    letGo: (held) => ({ ...network.letGo(held), back: { pid: 77, requests: [] } }),
  };
  assert.equal(await follow(moved, vm), true);
  assert.deepEqual(done, ["tell", "detach 1 11 true", "abandon 1", "tell"]);
});

test("follow leaves nothing of an interface that the VM does not get, and goes on", async () => {
  const links = [link({ index: 2, name: "eth0" }), link({ index: 3, name: "eth1" })];
  const unplugged = pretend(links, new Map(), "attach 0 started with");
  assert.equal(await follow(unplugged.network, unplugged.vm), false);
  assert.deepEqual(unplugged.done, ["reserve for eth0", "abandon 0", "reserve for eth1", "abandon 0", "tell"]);
  const unconnected = pretend([links[0] as Link], new Map(), "connect eth0 as 10");
  await follow(unconnected.network, unconnected.vm);
  assert.deepEqual(unconnected.done.slice(2), ["detach 0 10 false", "abandon 0", "tell"]);
  assert.equal(unconnected.has.size, 0);
});

test("follow keeps the device of an interface that the guest does not give up", async () => {
  const { network, vm, done } = pretend([], new Map([[3, 1]]), "detach 1 11 true");
  assert.equal(await follow(network, vm), false);
  assert.deepEqual(done, ["tell"]);
});

test("follow does nothing more for a VM that has ended", async () => {
  const { network, vm, done } = pretend([link({ index: 2, name: "eth0" })], new Map([[3, 1]]));
  await follow(network, { ...vm, isOver: true });
  assert.deepEqual(done, []);
});
