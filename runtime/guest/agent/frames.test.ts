import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LONGEST_MESSAGE } from "../../../protocol/guest-contract.ts";
import { encodeFrame, FrameReader } from "./frames.ts";

test("FrameReader gives back what encodeFrame wrote, however the bytes are cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 })),
      fc.infiniteStream(fc.integer({ min: 1, max: 64 })),
      (messages, cuts) => {
        const wire = Buffer.concat(messages.map(encodeFrame));
        const reader = new FrameReader();
        const got: Buffer[] = [];
        for (let at = 0; at < wire.length; ) {
          const size = cuts.next().value as number;
          reader.push(wire.subarray(at, at + size));
          at += size;
          for (let message = reader.next(); message !== undefined; message = reader.next())
            got.push(Buffer.from(message));
        }
        assert.deepEqual(
          got.map((message) => message.toString("hex")),
          messages.map((message) => Buffer.from(message).toString("hex")),
        );
        assert.equal(reader.empty, true);
      },
    ),
  );
});

test("FrameReader refuses a message over the limit before it has arrived", () => {
  const reader = new FrameReader();
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(LONGEST_MESSAGE + 1, 1);
  reader.push(prefix);
  assert.throws(() => reader.next(), /the limit is/);
});

test("FrameReader refuses a compressed message", () => {
  const reader = new FrameReader();
  reader.push(Buffer.from([1, 0, 0, 0, 0]));
  assert.throws(() => reader.next(), /compressed/);
});
