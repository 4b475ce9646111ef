import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { CaissonError } from "../../protocol/errors.ts";
import type { Resources, Spec } from "../../protocol/oci.ts";
import { DEFAULTS } from "./settings.ts";
import { memoryCeiling, mostVcpus, sandboxSize } from "./size.ts";

const HOST = { memoryMib: 16_000, vcpus: 8 };
const limited = (resources: Resources): Spec => ({ ociVersion: "1.2.0", linux: { resources } });
const size = (resources: Resources, settings = DEFAULTS) => sandboxSize(limited(resources), settings, HOST);

test("sandboxSize uses the defaults for a container without limits", () => {
  assert.deepEqual(sandboxSize({ ociVersion: "1.2.0" }, DEFAULTS, HOST), { memoryMib: 2048, vcpus: 1 });
  assert.deepEqual(size({ memory: { limit: -1 }, cpu: { quota: -1, shares: 1024 } }), { memoryMib: 2048, vcpus: 1 });
});

test("sandboxSize adds the overhead to the memory limit and rounds up to a power of two", () => {
  const mib = (limit: number | bigint) => size({ memory: { limit } }).memoryMib;
  assert.equal(mib(1), 256);
  assert.equal(mib(128 * 1024 ** 2), 256);
  assert.equal(mib(128 * 1024 ** 2 + 1), 512);
  assert.equal(mib(1024 ** 3), 2048);
  assert.equal(mib(2n ** 63n - 1n), HOST.memoryMib);
});

test("sandboxSize has enough vCPUs for the quota and no more than the cpuset", () => {
  const vcpus = (cpu: Resources["cpu"]) => size({ cpu }).vcpus;
  assert.equal(vcpus({ quota: 50_000, period: 100_000 }), 1);
  assert.equal(vcpus({ quota: 150_000, period: 100_000 }), 2);
  assert.equal(vcpus({ quota: 300_000 }), 4);
  assert.equal(vcpus({ cpus: "4-5" }), 2);
  assert.equal(vcpus({ quota: 800_000, period: 100_000, cpus: "3" }), 1);
  assert.equal(vcpus({ quota: 10_000_000, period: 100_000 }), HOST.vcpus);
});

test("sandboxSize takes memory_mib and vcpus as they are", () => {
  const settings = { ...DEFAULTS, memoryMib: 300, vcpus: 3 };
  assert.deepEqual(size({ memory: { limit: 1024 ** 3 }, cpu: { quota: 100 } }, settings), { memoryMib: 300, vcpus: 3 });
});

test("sandboxSize refuses memory_mib and vcpus beyond the host's", () => {
  for (const [field, settings] of [
    ["memory_mib", { ...DEFAULTS, memoryMib: HOST.memoryMib + 1 }],
    ["vcpus", { ...DEFAULTS, vcpus: HOST.vcpus + 1 }],
  ] as const) {
    assert.throws(
      () => size({}, settings),
      (error: CaissonError) =>
        error.code === "CAISSON_E_SETTINGS" && error.field === field && error.remedy !== undefined,
    );
  }
});

test("sandboxSize gives few sizes, each enough for the limit or all the host has", () => {
  const seen = new Set<number>();
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 36 }), (limit) => {
      const { memoryMib } = size({ memory: { limit } });
      seen.add(memoryMib);
      assert.ok(memoryMib === HOST.memoryMib || memoryMib * 1024 ** 2 >= limit + 128 * 1024 ** 2);
    }),
  );
  assert.ok(seen.size <= 8);
});

test("memoryCeiling is a share of the host's memory, and what was asked for exactly stays that", () => {
  const small = { memoryMib: 2048, vcpus: 1 };
  assert.equal(memoryCeiling(small, DEFAULTS, { memoryMib: 16_384, vcpus: 4 }), 8192);
  assert.equal(memoryCeiling(small, { ...DEFAULTS, maxMemoryPercent: 0 }, HOST), 2048);
  assert.equal(memoryCeiling(small, { ...DEFAULTS, memoryMib: 2048 }, { memoryMib: 16_384, vcpus: 4 }), 2048);
  assert.equal(memoryCeiling({ memoryMib: 12_000, vcpus: 1 }, DEFAULTS, { memoryMib: 16_384, vcpus: 4 }), 12_000);
});

test("mostVcpus is up to eight of the host's, or what was asked for, and those of a VM whose CPUs run in turn not more than it needs", () => {
  const host = { memoryMib: 16_384, vcpus: 32 };
  const one = { memoryMib: 2048, vcpus: 1 };
  assert.equal(mostVcpus(one, DEFAULTS, host, false), 8);
  assert.equal(mostVcpus({ ...one, vcpus: 16 }, DEFAULTS, host, false), 16);
  assert.equal(mostVcpus(one, DEFAULTS, host, true), 1);
  assert.equal(mostVcpus({ ...one, vcpus: 2 }, DEFAULTS, host, true), 8);
  assert.equal(mostVcpus(one, { ...DEFAULTS, maxVcpus: 3 }, host, true), 3);
  assert.equal(mostVcpus(one, { ...DEFAULTS, maxVcpus: 64 }, host, false), 32);
  assert.equal(mostVcpus({ ...one, vcpus: 4 }, { ...DEFAULTS, vcpus: 4 }, host, false), 4);
});
