import assert from "node:assert/strict";
import { test } from "node:test";
import { ADDED_NETWORKS, networkSlotAddress, SHARE_SLOT_ADDRESS } from "../runtime/vm/spec.ts";
import { slotTable } from "./slot-table.ts";

test("slotTable is a whole ACPI table", () => {
  const table = slotTable();
  assert.equal(table.toString("latin1", 0, 4), "SSDT");
  assert.equal(table.readUInt32LE(4), table.length);
  assert.equal(table.reduce((sum, byte) => sum + byte, 0) & 0xff, 0, "the sum of all bytes is zero");
});

test("slotTable names the slot that the share's device is put into", () => {
  const table = slotTable();
  const range = table.indexOf(Buffer.from([0x86, 9, 0, 1]));
  assert.equal(table.readUInt32LE(range + 4), SHARE_SLOT_ADDRESS);
  const interrupt = table.indexOf(Buffer.from([0x89, 6, 0, 1, 1]));
  assert.equal(table.readUInt32LE(interrupt + 5), 25);
});

test("slotTable names the slots that network devices are added in", () => {
  const table = slotTable();
  for (let slot = 0; slot < ADDED_NETWORKS; slot++) {
    const address = Buffer.alloc(4);
    address.writeUInt32LE(networkSlotAddress("microvm", slot));
    assert.ok(table.includes(Buffer.concat([Buffer.from([0x86, 9, 0, 1]), address])), `slot ${slot}`);
  }
});
