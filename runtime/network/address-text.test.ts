import assert from "node:assert/strict";
import { isIPv6 } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { addressText } from "./address-text.ts";

const groups = (...numbers: number[]) => Buffer.from(Uint16Array.from(numbers).buffer).swap16();

test("addressText writes IPv4 and IPv6 as RFC 5952 has it", () => {
  for (const [bytes, expected] of [
    [Buffer.of(192, 168, 10, 101), "192.168.10.101"],
    [groups(0xfe80, 0, 0, 0, 0xec31, 0xb3ff, 0xfe25, 0xd56a), "fe80::ec31:b3ff:fe25:d56a"],
    [groups(0, 0, 0, 0, 0, 0, 0, 1), "::1"],
    [groups(0, 0, 0, 0, 0, 0, 0, 0), "::"],
    [groups(0xfd00, 0, 0, 0, 0, 0, 0, 0), "fd00::"],
    [groups(1, 0, 0, 2, 0, 0, 0, 3), "1:0:0:2::3"],
    [groups(1, 0, 0, 2, 3, 0, 0, 4), "1::2:3:0:0:4"],
    [groups(1, 0, 2, 3, 4, 5, 6, 7), "1:0:2:3:4:5:6:7"],
    [Buffer.of(0xab, 0xcd), "abcd"],
  ] as const)
    assert.equal(addressText(bytes), expected);
});

test("addressText of any 16 bytes is that address", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(0, 0, 1, 0xab, 0xffff), { minLength: 8, maxLength: 8 }), (numbers) => {
      const text = addressText(groups(...numbers));
      assert.ok(isIPv6(text), text);
      const [head = "", tail] = text.split("::");
      const parts = (part: string) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
      const [before, after] = [parts(head), parts(tail ?? "")];
      const zeros = new Array(8 - before.length - after.length).fill(0);
      assert.deepEqual([...before, ...zeros, ...after], numbers);
    }),
  );
});
