import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type Attribute,
  encodeAttributes,
  nested,
  number,
  numberOf,
  parseAttributes,
  text,
  textOf,
} from "./attributes.ts";

const attribute = fc
  .tuple(fc.integer({ min: 0, max: 0x3fff }), fc.uint8Array({ maxLength: 70 }))
  .map(([type, bytes]): Attribute => ({ type, value: Buffer.from(bytes) }));

test("parseAttributes reads what encodeAttributes wrote, whatever the lengths", () => {
  fc.assert(
    fc.property(fc.array(attribute, { maxLength: 20 }), (attributes) => {
      assert.deepEqual(parseAttributes(encodeAttributes(attributes)), attributes);
    }),
  );
});

test("encodeAttributes pads each attribute to four bytes (netlink(7))", () => {
  assert.equal(encodeAttributes([{ type: 3, value: Buffer.from("lo\0") }]).toString("hex"), "070003006c6f0000");
});

test("parseAttributes never reads past the data and never loops: it throws or returns", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      let parsed: Attribute[];
      try {
        parsed = parseAttributes(Buffer.from(bytes));
      } catch (error) {
        assert.ok(error instanceof RangeError);
        return;
      }
      const total = parsed.reduce((sum, { value }) => sum + 4 + value.length, 0);
      assert.ok(total <= bytes.length);
    }),
  );
});

test("parseAttributes leaves the flag bits of a type out", () => {
  const [parsed] = parseAttributes(encodeAttributes([nested(26, [number(4, 1500)])]));
  assert.equal(parsed?.type, 26);
  assert.equal(numberOf(parseAttributes(parsed?.value ?? Buffer.alloc(0)), 4), 1500);
});

test("textOf ends at the null byte, numberOf wants four bytes", () => {
  const attributes = [text(3, "eth0"), { type: 4, value: Buffer.of(1, 2) }];
  assert.equal(textOf(parseAttributes(encodeAttributes(attributes)), 3), "eth0");
  assert.equal(numberOf(attributes, 4), undefined);
  assert.equal(textOf(attributes, 9), undefined);
});

test("encodeAttributes refuses what a 16-bit length cannot tell", () => {
  assert.throws(() => encodeAttributes([{ type: 1, value: Buffer.alloc(0xffff) }]), RangeError);
});
