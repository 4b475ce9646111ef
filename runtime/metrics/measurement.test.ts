import assert from "node:assert/strict";
import { test } from "node:test";
import type { GuestStatsResponse } from "../../protocol/generated/agent.ts";
import { toReadings } from "./measurement.ts";

function answer(changes: Partial<GuestStatsResponse>): GuestStatsResponse {
  return {
    cpu: undefined,
    memory: undefined,
    disks: [],
    interfaces: [],
    cpuPressure: undefined,
    memoryPressure: undefined,
    ioPressure: undefined,
    load: undefined,
    agentCpuNs: 0n,
    agentResidentBytes: 0n,
    ...changes,
  };
}

const NO_DISK = { reads: 0n, readBytes: 0n, writes: 0n, writtenBytes: 0n, ioNs: 0n };

test("toReadings shows devices that nobody expects as one, whatever a guest calls them", () => {
  const names = ["vda", "evil\n{}", "vda1", "x".repeat(9999), ""];
  const { disks } = toReadings(answer({ disks: names.map((name) => ({ ...NO_DISK, name, reads: 2n })) }), []);
  assert.deepEqual(
    disks.map(({ name, reads }) => [name, reads]),
    [
      ["vda", 2],
      ["other", 8],
    ],
  );
});

test("toReadings takes the interfaces that the host has named, and loopback", () => {
  const none = {
    receivedPackets: 0n,
    receiveErrors: 0n,
    receiveDrops: 0n,
    sentPackets: 0n,
    sendErrors: 0n,
    sendDrops: 0n,
  };
  const interfaces = ["lo", "net1", "eth7"].map((name) => ({
    ...none,
    name,
    receivedBytes: 1n,
    sentBytes: 2n ** 64n - 1n,
  }));
  const readings = toReadings(answer({ interfaces }), ["net1"]);
  assert.deepEqual(
    readings.interfaces.map(({ name }) => name),
    ["lo", "net1", "other"],
  );
  assert.equal(readings.interfaces[0]?.["sentBytes"], 2 ** 64);
});

test("toReadings makes seconds of pressure", () => {
  const line = { avg10: 0, avg60: 0, avg300: 0, total: 2_500_000n };
  const { pressure } = toReadings(answer({ ioPressure: { some: line, full: undefined } }), []);
  assert.deepEqual(pressure, { cpu: undefined, memory: undefined, io: { some: 2.5, full: 0 } });
});
