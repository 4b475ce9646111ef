import assert from "node:assert/strict";
import { test } from "node:test";
import { MEMORY_STEPS, stepName } from "../protocol/guest-memory.ts";
import { memoryTable } from "./memory-table.ts";

test("memoryTable is a whole ACPI table", () => {
  const table = memoryTable();
  assert.equal(table.toString("latin1", 0, 4), "SSDT");
  assert.equal(table.readUInt32LE(4), table.length);
  assert.equal(table.reduce((sum, byte) => sum + byte, 0) & 0xff, 0, "the sum of all bytes is zero");
});

test("memoryTable has a memory device for each step, which is where the step is", () => {
  const table = memoryTable();
  for (const [index, { startMib, sizeMib }] of MEMORY_STEPS.entries()) {
    const at = table.indexOf(`${stepName(index)}\u0008_HID`, "latin1");
    assert.ok(at > 0, stepName(index));
    const range = table.indexOf(Buffer.from([0x8a, 43, 0]), at) + 6;
    const numbers = Array.from(
      { length: 5 },
      (_, number) => Number(table.readBigUInt64LE(range + 8 * number)) / 2 ** 20,
    );
    assert.deepEqual([numbers[1], numbers[4]], [startMib, sizeMib]);
    assert.equal(table.readBigUInt64LE(range + 16), BigInt(startMib + sizeMib) * 2n ** 20n - 1n);
  }
});
