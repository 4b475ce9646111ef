import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { NetlinkSocket, NLMSG_HEADER_BYTES, splitMessages } from "./netlink.ts";

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_GETQDISC = 38;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_DUMP = 0x300;
const needsRoot = process.getuid?.() === 0 ? false : "needs root";

function message(type: number, flags: number, sequence: number, payload: Buffer): Buffer {
  const bytes = Buffer.alloc((NLMSG_HEADER_BYTES + payload.length + 3) & ~3);
  bytes.writeUInt32LE(NLMSG_HEADER_BYTES + payload.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes.writeUInt32LE(sequence, 8);
  payload.copy(bytes, NLMSG_HEADER_BYTES);
  return bytes;
}

/** A change of an interface that is not there. */
function refusedRequest(sequence: number): Buffer {
  const header = Buffer.alloc(16);
  header.writeInt32LE(0x7ffffff0, 4);
  return message(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, sequence, header);
}

test("splitMessages takes apart what was put together", () => {
  const parts = fc.array(fc.tuple(fc.integer({ min: 0, max: 0xffff }), fc.nat(), fc.uint8Array({ maxLength: 40 })));
  fc.assert(
    fc.property(parts, (messages) => {
      const data = Buffer.concat(
        messages.map(([type, sequence, bytes]) => message(type, 0, sequence, Buffer.from(bytes))),
      );
      const split = [...splitMessages(data)].map(({ type, sequence, payload }) => [
        type,
        sequence,
        payload.toString("hex"),
      ]);
      assert.deepEqual(
        split,
        messages.map(([type, sequence, bytes]) => [type, sequence, Buffer.from(bytes).toString("hex")]),
      );
    }),
  );
});

test("splitMessages throws at a length that cannot be, and always ends", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      try {
        for (const { payload } of splitMessages(Buffer.from(bytes))) assert.ok(payload.length <= bytes.length);
      } catch (error) {
        assert.ok(error instanceof RangeError);
      }
    }),
  );
});

test("NetlinkSocket.dump lists the interfaces", () => {
  using socket = new NetlinkSocket();
  const links = socket.dump(message(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 0, Buffer.alloc(16)));
  assert.ok(links.some(({ type, payload }) => type === RTM_NEWLINK && payload.includes("lo\0")));
});

test("NetlinkSocket.transact tells which requests of a batch were refused, and why", { skip: needsRoot }, () => {
  using socket = new NetlinkSocket();
  const nothing = message(
    RTM_GETLINK,
    NLM_F_REQUEST | NLM_F_ACK,
    0,
    Buffer.from("00000000010000000000000000000000", "hex"),
  );
  const ENODEV = 19;
  const refusals = socket.transact(Buffer.concat([nothing, refusedRequest(1), refusedRequest(2)]));
  assert.deepEqual(
    refusals.map(({ index, errno }) => ({ index, errno })),
    [1, 2].map((index) => ({ index, errno: ENODEV })),
  );
  assert.deepEqual(socket.transact(Buffer.alloc(0)), []);
});

test("NetlinkSocket.transact gets all answers of a batch that is larger than the socket's buffer", {
  skip: needsRoot,
}, () => {
  using socket = new NetlinkSocket();
  const count = 2000;
  const batch = Buffer.concat(Array.from({ length: count }, (_, index) => refusedRequest(index)));
  assert.deepEqual(
    socket.transact(batch).map(({ index }) => index),
    Array.from({ length: count }, (_, index) => index),
  );
});

test("NetlinkSocket.transact keeps the kernel's own words", { skip: needsRoot }, () => {
  using socket = new NetlinkSocket();
  // struct tcmsg: loopback (1), and a parent that it has not.
  const header = Buffer.alloc(20);
  header.writeInt32LE(1, 4);
  header.writeUInt32LE(0x00770000, 12);
  const [refusal] = socket.transact(message(RTM_GETQDISC, NLM_F_REQUEST | NLM_F_ACK, 0, header));
  assert.match(refusal?.message ?? "", /Qdisc/i);
});

test("NetlinkSocket.close may be called again", () => {
  const socket = new NetlinkSocket();
  socket.close();
  socket.close();
  assert.throws(() => socket.transact(refusedRequest(0)), { code: "EBADF" });
});
