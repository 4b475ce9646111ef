import assert from "node:assert/strict";
import { test } from "node:test";
import { withoutSignature } from "./module-signature.ts";

const body = Buffer.from("the module");

function signed(signature: Buffer, length = signature.length): Buffer {
  const trailer = Buffer.alloc(12);
  trailer.writeUInt32BE(length, 8);
  return Buffer.concat([body, signature, trailer, Buffer.from("~Module signature appended~\n")]);
}

test("withoutSignature cuts signature, trailer and magic off", () => {
  assert.deepEqual(withoutSignature(signed(Buffer.alloc(390, 7))), body);
});

test("withoutSignature leaves a module without one as it is", () => {
  assert.equal(withoutSignature(body), body);
  assert.equal(withoutSignature(Buffer.alloc(0)).length, 0);
});

test("withoutSignature refuses a length that the module has not", () => {
  assert.throws(() => withoutSignature(signed(Buffer.alloc(4), 4000)), /longer than the module/);
});
