import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fromMetadata, fromWireError, toMetadata } from "./errors.ts";

const asIs = (text: string) => text;

test("fromMetadata reads what toMetadata has written, in printable ASCII", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 40 }), fc.string({ maxLength: 40 }), (field, remedy) => {
      const written = new Map(toMetadata({ code: "CAISSON_E_STATE", message: "m", field, remedy }));
      for (const value of written.values()) assert.match(value, /^[\x20-\x7e]*$/);
      const error = fromMetadata((name) => written.get(name), "m", asIs);
      assert.deepEqual(
        [error?.code, error?.message, error?.field, error?.remedy],
        ["CAISSON_E_STATE", "m", field.toWellFormed(), remedy.toWellFormed()],
      );
    }),
  );
});

test("toMetadata cuts long values between characters", () => {
  const [, value = ""] = toMetadata({ code: "CAISSON_E_STATE", message: "", field: "ä".repeat(1000) })[1] ?? [];
  assert.ok(value.length <= 512);
  assert.equal(decodeURIComponent(value), "ä".repeat(value.length / 6));
});

test("fromMetadata shows bad encoding as it came, and gives nothing without a code of ours", () => {
  const error = fromMetadata((name) => (name.endsWith("code") ? "CAISSON_E_HOOK" : "%zz"), "m", asIs);
  assert.equal(error?.field, "%zz");
  assert.equal(
    fromMetadata(() => undefined, "m", asIs),
    undefined,
  );
  assert.equal(
    fromMetadata(() => "EVIL", "m", asIs),
    undefined,
  );
});

test("fromWireError gives an unknown code the one for defects", () => {
  assert.equal(fromWireError({ code: "NEW", message: "m" }).code, "CAISSON_E_INTERNAL");
});
