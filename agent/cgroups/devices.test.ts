import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { DeviceRule } from "../../protocol/oci.ts";
import { deviceFilter } from "./devices.ts";

const RIGHTS = { m: 1, r: 2, w: 4 };

/** What the kernel does with the program: an interpreter of the instructions it uses, 32 bits wide. */
function run(program: Buffer, type: "b" | "c", access: number, major: number, minor: number): boolean {
  const context = [((access << 16) | (type === "b" ? 1 : 2)) >>> 0, major, minor];
  const registers = new Array<number>(11).fill(0);
  for (let index = 0, steps = 0; steps < 100_000; index += 1, steps += 1) {
    const [opcode = 0, packed = 0] = program.subarray(index * 8, index * 8 + 2);
    const target = packed & 15;
    const source = packed >> 4;
    const offset = program.readInt16LE(index * 8 + 2);
    const value = program.readUInt32LE(index * 8 + 4);
    const left = registers[target] ?? 0;
    if (opcode === 0x61) registers[target] = context[offset / 4] ?? 0;
    else if (opcode === 0xbc) registers[target] = registers[source] ?? 0;
    else if (opcode === 0xb4) registers[target] = value;
    else if (opcode === 0x54) registers[target] = (left & value) >>> 0;
    else if (opcode === 0x74) registers[target] = left >>> value;
    else if (opcode === 0x05) index += offset;
    else if (opcode === 0x56) index += left !== value ? offset : 0;
    else if (opcode === 0x46) index += (left & value) !== 0 ? offset : 0;
    else if (opcode === 0x95) return registers[0] === 1;
    else assert.fail(`instruction ${index} has the unknown opcode ${opcode.toString(16)}`);
  }
  return assert.fail("the program does not end");
}

/** The rule in words: for each right by itself, the last rule that matches decides. */
function expected(rules: DeviceRule[], type: "b" | "c", access: number, major: number, minor: number): boolean {
  return Object.entries(RIGHTS)
    .filter(([, bit]) => (access & bit) !== 0)
    .every(([letter]) => {
      if (letter === "m") return true;
      const last = rules.findLast(
        (rule) =>
          [undefined, "a", type].includes(rule.type) &&
          [undefined, -1, major].includes(rule.major) &&
          [undefined, -1, minor].includes(rule.minor) &&
          (rule.access ?? "rwm").includes(letter),
      );
      return last?.allow ?? false;
    });
}

const denyAll: DeviceRule = { allow: false, access: "rwm" };

test("deviceFilter allows the standard devices and denies the rest without a rule", () => {
  const program = deviceFilter([denyAll]);
  assert.equal(run(program, "c", RIGHTS.r | RIGHTS.w, 1, 3), true, "/dev/null");
  assert.equal(run(program, "c", RIGHTS.r, 136, 7), true, "/dev/pts/7");
  assert.equal(run(program, "c", RIGHTS.r, 1, 1), false, "/dev/mem");
  assert.equal(run(program, "b", RIGHTS.r, 8, 0), false, "/dev/sda");
  assert.equal(run(program, "b", RIGHTS.m, 8, 0), true, "mknod opens nothing");
});

test("deviceFilter denies a request when one of its rights is denied", () => {
  const program = deviceFilter([denyAll, { allow: true, type: "b", major: 8, minor: 0, access: "r" }]);
  assert.equal(run(program, "b", RIGHTS.r, 8, 0), true);
  assert.equal(run(program, "b", RIGHTS.r | RIGHTS.w, 8, 0), false);
});

test("deviceFilter lets the last matching rule decide for each right", () => {
  const number = fc.constantFrom(undefined, -1, 200, 201);
  const rule = fc.record({
    allow: fc.boolean(),
    type: fc.constantFrom("a", "b", "c", undefined),
    major: number,
    minor: number,
    access: fc.constantFrom(undefined, "r", "w", "rw", "m", "rwm"),
  }) as fc.Arbitrary<DeviceRule>;
  const device = fc.constantFrom(200, 201, 202);
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 8 }),
      fc.constantFrom("b" as const, "c" as const),
      fc.integer({ min: 1, max: 7 }),
      device,
      device,
      (rules, type, access, major, minor) => {
        const verdict = run(deviceFilter(rules), type, access, major, minor);
        assert.equal(verdict, expected(rules, type, access, major, minor));
      },
    ),
    { numRuns: 2000 },
  );
});

test("deviceFilter names the field of a rule it cannot read", () => {
  assert.throws(() => deviceFilter([denyAll, { allow: true, access: "x" }]), {
    code: "CAISSON_E_CONFIG_INVALID",
    field: "linux.resources.devices[1].access",
  });
  assert.throws(() => deviceFilter(new Array(2000).fill(denyAll)), { field: "linux.resources.devices" });
});
