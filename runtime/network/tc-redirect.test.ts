import assert from "node:assert/strict";
import { closeSync, readSync, writeSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openTap, type Tap } from "../../native/posix/index.ts";
import type { NetlinkSocket } from "../../native/posix/netlink.ts";
import { ScratchNamespace } from "../../test/harness/namespaces.ts";
import { type Link, readLinks } from "./dump.ts";
import { connect, disconnect, planConnections } from "./tc-redirect.ts";

const options = process.getuid?.() === 0 ? {} : { skip: "needs root" };

/** struct virtio_net_hdr, all zero: nothing is left to do for the packet. */
const OFFLOAD_HEADER = 10;
const BROADCAST = "ffffffffffff";
const SENDER = "02005e000001";

interface Wired {
  inside: ScratchNamespace;
  outside: ScratchNamespace;
  socket: NetlinkSocket;
  eth0: Link;
  tap: Tap;
}

function wired<T>(run: (parts: Wired) => T): T {
  using outside = new ScratchNamespace();
  using inside = new ScratchNamespace();
  inside.veth("eth0", outside, "far0");
  inside.ip("link set eth0 up mtu 4000");
  using socket = inside.socket();
  const eth0 = readLinks(socket).find(({ name }) => name === "eth0") as Link;
  const tap = inside.run(() => openTap("caisson%d"));
  try {
    return run({ inside, outside, socket, eth0, tap });
  } finally {
    closeSync(tap.fd);
  }
}

/** The interface, without what the kernel changes up to a second after it was set up: whether it has a carrier. */
const linkOf = (inside: ScratchNamespace) =>
  inside.ip("-d link show dev eth0").replace(/NO-CARRIER,|,LOWER_UP|,M-DOWN| state \w+/g, "");
const shown = (inside: ScratchNamespace) =>
  inside.command("tc", "qdisc show dev eth0\nfilter show dev eth0 ingress") + linkOf(inside);

test("connect() has whatever comes in at one go out at the other", options, async () => {
  using outside = new ScratchNamespace();
  using inside = new ScratchNamespace();
  inside.veth("eth0", outside, "far0");
  inside.ip("link set eth0 up");
  const [tap, far] = [inside.run(() => openTap("caisson%d")), outside.run(() => openTap("player%d"))];
  try {
    // The far end is a tap as well, bridged to the veth, so that whole frames can be written and read.
    outside.ip(`link add br0 type bridge
                link set br0 up addrgenmode none
                link set ${far.name} up addrgenmode none master br0
                link set far0 master br0`);
    using socket = inside.socket();
    const links = readLinks(socket);
    connect(socket, links.find(({ name }) => name === "eth0") as Link, tap, links);
    const frame = (text: string) =>
      Buffer.concat([
        Buffer.alloc(OFFLOAD_HEADER),
        Buffer.from(`${BROADCAST}${SENDER}88b5`, "hex"),
        Buffer.from(text.padEnd(50, ".")),
      ]);
    const arrives = async (from: Tap, to: Tap, text: string) => {
      const data = Buffer.alloc(9000);
      for (let tries = 0; tries < 3000; tries++) {
        // The bridge may forward only later.
        if (tries % 20 === 0) writeSync(from.fd, frame(text));
        try {
          const length = readSync(to.fd, data);
          if (data.includes(text))
            return assert.deepEqual(
              data.subarray(0, length).subarray(OFFLOAD_HEADER),
              frame(text).subarray(OFFLOAD_HEADER),
            );
        } catch (error) {
          assert.equal((error as NodeJS.ErrnoException).code, "EAGAIN");
          await sleep(5);
        }
      }
      assert.fail(`${text} has not arrived`);
    };
    await arrives(tap, far, "out of the VM");
    await arrives(far, tap, "into the VM");
  } finally {
    for (const { fd } of [tap, far]) closeSync(fd);
  }
});

test(
  "connect() gives the tap the interface's MTU and no address, and changes only the interface's ingress",
  options,
  () => {
    wired(({ inside, socket, eth0, tap }) => {
      const before = linkOf(inside);
      connect(socket, eth0, tap, readLinks(socket));
      assert.match(inside.ip(`addr show dev ${tap.name}`), /UP.* mtu 4000/);
      assert.doesNotMatch(inside.ip(`addr show dev ${tap.name}`), /inet/);
      assert.equal(linkOf(inside), before);
    });
  },
);

test(
  "disconnect() puts the interface back as it was, again and again, whether the tap is there or not",
  options,
  () => {
    for (const tapIsGone of [false, true]) {
      wired(({ inside, socket, eth0, tap }) => {
        const before = shown(inside);
        const plan = planConnections(socket, [eth0]);
        assert.deepEqual(plan, [{ index: eth0.index, name: "eth0", ownsIngress: true }]);
        disconnect(socket, plan, []);
        connect(socket, eth0, tap, readLinks(socket));
        assert.notEqual(shown(inside), before);
        if (tapIsGone) inside.ip(`link delete ${tap.name}`);
        for (let round = 0; round < 2; round++) disconnect(socket, plan, tapIsGone ? [] : [tap.index]);
        assert.equal(shown(inside), before);
      });
    }
  },
);

test("disconnect() does not mind others who do the same at once, or take the interface away", options, () => {
  const interferences: [before: number, command: string][] = [
    [1, "tc qdisc del dev eth0 ingress"],
    [1, "tc filter del dev eth0 ingress"],
    [1, "ip link delete eth0"],
    [2, "tc qdisc del dev eth0 ingress"],
    [2, "ip link delete eth0"],
  ];
  for (const [before, command] of interferences) {
    wired(({ inside, socket, eth0, tap }) => {
      const plan = planConnections(socket, [eth0]);
      connect(socket, eth0, tap, readLinks(socket));
      inside.ip(`link delete ${tap.name}`);
      let calls = 0;
      const disturbed = {
        dump: (request: Uint8Array) => socket.dump(request),
        transact: (batch: Uint8Array) => {
          const [program = "", ...words] = command.split(" ");
          if (++calls === before) inside.command(program, words.join(" "));
          return socket.transact(batch);
        },
      } as NetlinkSocket;
      disconnect(disturbed, plan, []);
      assert.ok(calls >= before, command);
      const left = inside.ip("link show").includes("eth0") ? inside.command("tc", "qdisc show dev eth0 ingress") : "";
      assert.equal(left, "");
    });
  }
});

test("disconnect() leaves alone what another sandbox has, and an interface that is another one by now", options, () => {
  wired(({ inside, socket, eth0, tap }) => {
    const plan = planConnections(socket, [eth0]);
    connect(socket, eth0, tap, readLinks(socket));
    const connected = shown(inside);
    disconnect(socket, plan, []);
    assert.equal(shown(inside), connected);
    inside.ip("link set eth0 down\nlink set eth0 name eth9");
    inside.command("tc", "filter del dev eth9 ingress");
    const others = inside.command("tc", "qdisc show dev eth9 ingress");
    assert.match(others, /ingress/);
    disconnect(socket, plan, [tap.index]);
    assert.equal(inside.command("tc", "qdisc show dev eth9 ingress"), others);
  });
});

test("disconnect() puts an interface back that has been renamed", options, () => {
  wired(({ inside, socket, eth0, tap }) => {
    const plan = planConnections(socket, [eth0]);
    connect(socket, eth0, tap, readLinks(socket));
    inside.ip("link set eth0 down\nlink set eth0 name eth9");
    disconnect(socket, plan, [tap.index]);
    assert.equal(inside.command("tc", "qdisc show dev eth9 ingress"), "");
  });
});

test("connect() refuses an interface that another sandbox's VM has", options, () => {
  wired(({ inside, socket, eth0, tap }) => {
    connect(socket, eth0, tap, readLinks(socket));
    const second = inside.run(() => openTap("caisson%d"));
    try {
      assert.throws(() => connect(socket, eth0, second, readLinks(socket)), {
        code: "CAISSON_E_NETWORK",
        message: `cannot connect eth0 to the VM: another sandbox's VM has it (${tap.name})`,
      });
    } finally {
      closeSync(second.fd);
    }
  });
});

test("connect() replaces what a sandbox that was killed has left, and owns it then", options, () => {
  wired(({ inside, socket, eth0, tap }) => {
    const before = shown(inside);
    connect(socket, eth0, tap, readLinks(socket));
    inside.ip(`link delete ${tap.name}`);
    const second = inside.run(() => openTap("caisson%d"));
    try {
      const plan = planConnections(socket, [eth0]);
      assert.equal(plan[0]?.ownsIngress, true);
      connect(socket, eth0, second, readLinks(socket));
      assert.match(shown(inside), new RegExp(`Redirect to device ${second.name}`));
      disconnect(socket, plan, [second.index]);
      assert.equal(shown(inside), before);
    } finally {
      closeSync(second.fd);
    }
  });
});

test(
  "connect() and disconnect() keep the ingress hook and the filters that somebody else has put there",
  options,
  () => {
    for (const kind of ["ingress", "clsact"]) {
      wired(({ inside, socket, eth0, tap }) => {
        inside.command(
          "tc",
          `qdisc add dev eth0 ${kind}
         filter add dev eth0 ingress protocol ip prio 1 u32 match ip dst 203.0.113.9/32 flowid 1:1`,
        );
        const before = shown(inside);
        const plan = planConnections(socket, [eth0]);
        assert.equal(plan[0]?.ownsIngress, false);
        connect(socket, eth0, tap, readLinks(socket));
        assert.match(shown(inside), /Redirect to device caisson/);
        disconnect(socket, plan, [tap.index]);
        assert.equal(shown(inside), before);
      });
    }
  },
);

test("connect() takes a tap that led to another interface, which has gone", options, () => {
  wired(({ inside, outside, socket, eth0, tap }) => {
    connect(socket, eth0, tap, readLinks(socket));
    inside.ip("link del eth0");
    inside.veth("eth0", outside, "far1");
    const again = readLinks(socket).find(({ name }) => name === "eth0") as Link;
    connect(socket, again, tap, readLinks(socket));
    assert.match(inside.command("tc", `filter show dev ${tap.name} ingress`), /Egress Redirect to device eth0/);
    assert.match(inside.command("tc", "filter show dev eth0 ingress"), new RegExp(`device ${tap.name}`));
  });
});
