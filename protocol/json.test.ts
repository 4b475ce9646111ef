import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseJson, stringifyJson } from "./json.ts";

test("parseJson keeps every 64-bit integer exact", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), (value) => {
      const parsed = parseJson(`{"limits":[${value}]}`) as { limits: [number | bigint] };
      assert.equal(BigInt(parsed.limits[0]), value);
      assert.equal(typeof parsed.limits[0], Number.isSafeInteger(Number(value)) ? "number" : "bigint");
      assert.equal(stringifyJson(parsed), `{"limits":[${value}]}`);
    }),
  );
});

test("parseJson reads what JSON.parse reads, but for large integers", () => {
  fc.assert(fc.property(fc.json(), (text) => assert.deepEqual(withNumbers(parseJson(text)), JSON.parse(text))));
});

/** The value with every bigint as the number that JSON.parse makes of it. */
function withNumbers(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(withNumbers);
  if (typeof value !== "object" || value === null) return value;
  for (const [key, item] of Object.entries(value)) Object.defineProperty(value, key, { value: withNumbers(item) });
  return value;
}

test("parseJson leaves fractions, exponents and digits in strings alone", () => {
  const text = '{"a":1e300,"b":0.12345678901234567890,"c":"18446744073709551615"}';
  assert.deepEqual(parseJson(text), JSON.parse(text));
});

test("parseJson throws SyntaxError on malformed text", () => {
  assert.throws(() => parseJson('{"a": 18446744073709551615'), SyntaxError);
});
