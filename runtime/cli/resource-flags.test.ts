import assert from "node:assert/strict";
import { test } from "node:test";
import { resourcesOf } from "./resource-flags.ts";

test("resourcesOf names only what was given", () => {
  assert.deepEqual(resourcesOf({}), {});
  assert.deepEqual(resourcesOf({ pidsLimit: "20" }), { pids: { limit: 20 } });
});

test("resourcesOf reads sizes in powers of 1024", () => {
  const { memory } = resourcesOf({ memory: "512m", memoryReservation: "1.5g", memorySwap: "1073741824" });
  assert.deepEqual(memory, { limit: 2 ** 29, reservation: 1.5 * 2 ** 30, swap: 2 ** 30 });
  assert.deepEqual(resourcesOf({ memory: "1 GiB" }).memory, { limit: 2 ** 30 });
  assert.deepEqual(resourcesOf({ memory: "9999tb" }).memory, { limit: 10_994_016_766_132_224n });
});

test("resourcesOf lifts the limit on swap with the one on memory", () => {
  assert.deepEqual(resourcesOf({ memory: "-1" }).memory, { limit: -1, swap: -1 });
  assert.deepEqual(resourcesOf({ memory: "-1", memorySwap: "1g" }).memory, { limit: -1, swap: 2 ** 30 });
});

test("resourcesOf fills every field of cpu and blockIO", () => {
  const flags = {
    cpuShare: "512",
    cpuQuota: "-1",
    cpuBurst: "0",
    cpuPeriod: "100000",
    cpuRtRuntime: "950000",
    cpuRtPeriod: "1000000",
    cpuIdle: "1",
    cpusetCpus: "0-1",
    cpusetMems: "0",
    blkioWeight: "500",
  };
  assert.deepEqual(resourcesOf(flags), {
    cpu: {
      shares: 512,
      quota: -1,
      burst: 0,
      period: 100_000,
      realtimeRuntime: 950_000,
      realtimePeriod: 1_000_000,
      idle: 1,
      cpus: "0-1",
      mems: "0",
    },
    blockIO: { weight: 500 },
  });
});

for (const flags of [
  { memory: "foo" },
  { memory: "-2" },
  { memory: "" },
  { memory: "9999999p" },
  { cpuQuota: "1.5" },
  { pidsLimit: "many" },
  { cpuShare: "0x10" },
]) {
  test(`resourcesOf refuses ${JSON.stringify(flags)}`, () => {
    assert.throws(() => resourcesOf(flags), { code: "CAISSON_E_USAGE" });
  });
}
