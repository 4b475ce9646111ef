import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  encodeFrame,
  type Frame,
  FrameReader,
  HEADER_LENGTH,
  isOversized,
  MAX_DATA,
  type OversizedFrame,
} from "./frames.ts";

const frames = fc
  .tuple(fc.nat(2 ** 32 - 1), fc.nat(255), fc.nat(255), fc.uint8Array({ maxLength: 300 }))
  .map(([stream, type, flags, bytes]): Frame => ({ stream, type, flags, data: Buffer.from(bytes) }));

function readAll(reader: FrameReader): (Frame | OversizedFrame)[] {
  const found: (Frame | OversizedFrame)[] = [];
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) found.push(frame);
  return found;
}

test("FrameReader gives back what encodeFrame made, however the bytes are cut", () => {
  fc.assert(
    fc.property(fc.array(frames, { maxLength: 8 }), fc.array(fc.nat(400), { maxLength: 20 }), (sent, cuts) => {
      const bytes = Buffer.concat(sent.map(encodeFrame));
      const reader = new FrameReader();
      const found: (Frame | OversizedFrame)[] = [];
      let at = 0;
      for (const cut of [...cuts, bytes.length]) {
        reader.push(bytes.subarray(at, at + cut));
        at = Math.min(bytes.length, at + cut);
        found.push(...readAll(reader));
      }
      assert.deepEqual(found, sent);
      assert.equal(reader.empty, true);
    }),
  );
});

test("FrameReader reads the header as PROTOCOL.md has it", () => {
  const reader = new FrameReader();
  reader.push(Buffer.from([0, 0, 0, 2, 1, 2, 3, 4, 1, 5, 0xaa, 0xbb]));
  assert.deepEqual(reader.next(), { stream: 0x01020304, type: 1, flags: 5, data: Buffer.from([0xaa, 0xbb]) });
});

test("FrameReader takes a frame of the longest allowed length", () => {
  const data = Buffer.alloc(MAX_DATA, 7);
  const reader = new FrameReader();
  const bytes = encodeFrame({ stream: 1, type: 1, flags: 0, data });
  for (let at = 0; at < bytes.length; at += 65_536) reader.push(bytes.subarray(at, at + 65_536));
  const frame = reader.next();
  assert.ok(frame !== undefined && !isOversized(frame));
  assert.equal(frame.data.equals(data), true);
});

test("FrameReader holds little more than the bytes of a frame that comes byte by byte", () => {
  const bytes = encodeFrame({ stream: 1, type: 1, flags: 0, data: Buffer.alloc(512 * 1024, 7) });
  const reader = new FrameReader();
  const before = process.memoryUsage();
  for (const byte of bytes.subarray(0, -1)) {
    reader.push(Buffer.from([byte]));
    assert.equal(reader.next(), undefined);
  }
  const { heapTotal, external } = process.memoryUsage();
  const growth = heapTotal - before.heapTotal + external - before.external;
  assert.ok(growth < 48 * bytes.length, `${growth} bytes for a frame of ${bytes.length}`);
  reader.push(bytes.subarray(-1));
  const frame = reader.next();
  assert.ok(frame !== undefined && !isOversized(frame));
  assert.equal(frame.data.equals(bytes.subarray(HEADER_LENGTH)), true);
});

test("FrameReader drops an oversized frame, tells of it once, and goes on behind it", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 70_000 }), frames, (cut, after) => {
      const header = Buffer.alloc(HEADER_LENGTH);
      header.writeUInt32BE(MAX_DATA + 1, 0);
      header.writeUInt32BE(9, 4);
      header.writeUInt8(1, 8);
      const bytes = Buffer.concat([header, Buffer.alloc(MAX_DATA + 1), encodeFrame(after)]);
      const reader = new FrameReader();
      const found: (Frame | OversizedFrame)[] = [];
      // Small pieces at both ends, where it matters.
      const pieces = [bytes.subarray(0, cut), bytes.subarray(cut, MAX_DATA), bytes.subarray(MAX_DATA)];
      for (const piece of pieces) {
        reader.push(piece);
        found.push(...readAll(reader));
      }
      assert.deepEqual(found, [{ stream: 9, type: 1, length: MAX_DATA + 1 }, after]);
      assert.equal(reader.empty, true);
    }),
    { numRuns: 20 },
  );
});

test("encodeFrame refuses data that is too long", () => {
  const data = Buffer.alloc(MAX_DATA + 1);
  assert.throws(() => encodeFrame({ stream: 1, type: 1, flags: 0, data }), RangeError);
});
