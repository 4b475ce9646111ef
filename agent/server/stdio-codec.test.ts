import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { OutputChunk, WriteStdinRequest } from "../../protocol/generated/agent.ts";
import { decodeWriteStdin, encodeOutputChunk } from "./stdio-codec.ts";

test("encodeOutputChunk makes the bytes that the generated code makes", () => {
  for (const length of [0, 1, 127, 128, 16383, 16384, 65536, 2097151, 2097152]) {
    const chunk = { data: randomBytes(length) };
    assert.deepEqual(encodeOutputChunk(chunk), Buffer.from(OutputChunk.encode(chunk).finish()), `${length} bytes`);
  }
});

test("decodeWriteStdin reads what the generated code reads", () => {
  const process = fc.option(fc.record({ containerId: fc.string(), execId: fc.string() }), { nil: undefined });
  const data = fc.uint8Array().map((bytes) => Buffer.from(bytes));
  const port = fc.nat(0xffff_ffff);
  const portBytes = fc.bigInt(0n, 2n ** 64n - 1n);
  fc.assert(
    fc.property(fc.record({ process, data, port, portBytes }), (request) => {
      const message = Buffer.from(WriteStdinRequest.encode(request).finish());
      assert.deepEqual(decodeWriteStdin(message), WriteStdinRequest.decode(message));
    }),
  );
});

test("decodeWriteStdin skips fields that a later protocol adds, and refuses a cut message", () => {
  const message = Buffer.from([0x2a, 2, 1, 2, 0x12, 1, 7]);
  assert.deepEqual(decodeWriteStdin(message), {
    process: undefined,
    data: Buffer.from([7]),
    port: 0,
    portBytes: 0n,
  });
  assert.throws(() => decodeWriteStdin(message.subarray(0, 5)));
});
