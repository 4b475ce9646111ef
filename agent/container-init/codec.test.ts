import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CaissonError } from "../../protocol/errors.ts";
import { decodeReport, encodeContinue, encodePlan, MAX_PLAN_BYTES, MAX_STATE_BYTES } from "./codec.ts";
import { FORMS, type Kind, type Operation, type Step } from "./steps.ts";

const about = { field: "mounts[0]", task: "testing" };
const text = fc.string({ unit: "grapheme" }).filter((one) => !one.includes("\0"));
const u32 = fc.nat(0xffffffff);
const VALUES: Record<Kind, fc.Arbitrary<unknown>> = {
  u32,
  i32: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  u64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  string: text,
  strings: fc.array(text),
  u32s: fc.array(u32),
  bytes: fc.uint8Array(),
};
const forms: [string, { code: number; arguments: Record<string, Kind> }][] = Object.entries(FORMS);
const step = fc.oneof(
  ...forms.map(([op, form]) => {
    const args = Object.fromEntries(Object.entries(form.arguments).map(([name, kind]) => [name, VALUES[kind]]));
    return fc.record({ op: fc.constant(op), supervised: fc.boolean(), ...args });
  }),
);

/** Reads a plan as native/container-init/README.md describes it. */
function readPlan(message: Buffer): { op: string; supervised: boolean; [name: string]: unknown }[] {
  let at = 0;
  const skip = (count: number) => {
    at += count;
    return at - count;
  };
  const u16 = () => message.readUInt16LE(skip(2));
  const u32 = () => message.readUInt32LE(skip(4));
  const string = () => {
    const length = u32();
    const start = skip(length);
    const value = message.toString("utf8", start, at);
    assert.equal(message[skip(1)], 0);
    return value;
  };
  const read: Record<Kind, () => unknown> = {
    u32,
    i32: () => message.readInt32LE(skip(4)),
    u64: () => message.readBigUInt64LE(skip(8)),
    string,
    strings: () => Array.from({ length: u32() }, string),
    u32s: () => Array.from({ length: u32() }, u32),
    bytes: () => {
      const length = u32();
      const start = skip(length);
      return new Uint8Array(message.subarray(start, at));
    },
  };
  assert.equal(u32(), message.length - 4);
  assert.equal(message[skip(1)], 1);
  const steps = Array.from({ length: u32() }, () => {
    const size = u32();
    const code = u16();
    const supervised = u16() === 1;
    const end = at + size;
    const [op, form] = forms.find(([, one]) => one.code === code) ?? assert.fail(`code ${code}`);
    const args = Object.entries(form.arguments).map(([name, kind]) => [name, read[kind]()]);
    assert.equal(at, end);
    return { op, supervised, ...Object.fromEntries(args) };
  });
  assert.equal(at, message.length);
  return steps;
}

test("encodePlan writes every step as the README describes it", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const plan = steps.map((one) => ({ ...one, ...about })) as unknown as Step[];
      assert.deepEqual(
        readPlan(encodePlan(plan)),
        steps.map((one) => ({ ...one })),
      );
    }),
  );
});

test("FORMS has no code twice", () => {
  const codes = (Object.keys(FORMS) as Operation[]).map((op) => FORMS[op].code);
  assert.equal(new Set(codes).size, codes.length);
});

test("encodePlan grows with the plan and its messages do not share memory", () => {
  const of = (name: string): Step[] => [{ op: "hostname", name, ...about }];
  const first = encodePlan(of("a".repeat(100_000)));
  const second = encodePlan(of("b".repeat(100_000)));
  assert.deepEqual(readPlan(first), [{ op: "hostname", supervised: false, name: "a".repeat(100_000) }]);
  assert.deepEqual(readPlan(second), [{ op: "hostname", supervised: false, name: "b".repeat(100_000) }]);
});

test("encodePlan refuses a NUL byte, naming the field, and a plan over the limit", () => {
  const of = (name: string): Step[] => [{ op: "hostname", name, ...about }];
  assert.throws(() => encodePlan(of("a\0b")), { code: "CAISSON_E_CONFIG_INVALID", field: "mounts[0]" });
  assert.throws(() => encodePlan(of("a".repeat(MAX_PLAN_BYTES))), { code: "CAISSON_E_CONFIG_INVALID" });
});

test("encodeContinue carries the state and refuses one over the limit", () => {
  assert.deepEqual(encodeContinue("{}"), Buffer.from([3, 0, 0, 0, 2, 0x7b, 0x7d]));
  assert.deepEqual(encodeContinue(), Buffer.from([1, 0, 0, 0, 2]));
  assert.throws(() => encodeContinue("x".repeat(MAX_STATE_BYTES + 1)), { code: "CAISSON_E_INTERNAL" });
});

function report(type: number, words: number[], detail = ""): Buffer {
  const body = Buffer.concat([Buffer.from(new Uint32Array(words).buffer), Buffer.from(detail)]);
  const head = Buffer.from([0, 0, 0, 0, type]);
  head.writeUInt32LE(1 + body.length);
  return Buffer.concat([head, body]);
}

test("decodeReport reads each report", () => {
  const of = (bytes: Buffer) => decodeReport(bytes)?.report;
  assert.deepEqual(of(report(1, [7, 42])), { type: "reached", index: 7, pid: 42 });
  assert.deepEqual(of(report(2, [42])), { type: "started", pid: 42 });
  assert.deepEqual(of(report(3, [7, 2], "said")), { type: "failed", index: 7, errno: 2, detail: "said" });
  assert.deepEqual(of(report(4, [3 << 8])), { type: "exited", exitCode: 3, signal: 0 });
  assert.deepEqual(of(report(4, [9])), { type: "exited", exitCode: 137, signal: 9 });
  assert.deepEqual(of(report(4, [0x80 | 11])), { type: "exited", exitCode: 139, signal: 11 });
});

test("decodeReport waits for the whole report and says how long it was", () => {
  const whole = report(3, [7, 2], "said");
  for (let length = 0; length < whole.length; length++)
    assert.equal(decodeReport(whole.subarray(0, length)), undefined);
  assert.equal(decodeReport(Buffer.concat([whole, whole]))?.length, whole.length);
});

test("decodeReport takes any bytes: a report, undefined or CAISSON_E_INTERNAL", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      try {
        decodeReport(Buffer.from(bytes));
      } catch (error) {
        assert.ok(error instanceof CaissonError && error.code === "CAISSON_E_INTERNAL", String(error));
      }
    }),
  );
});
