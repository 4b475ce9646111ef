import assert from "node:assert/strict";
import { test } from "node:test";
import type { StatsResponse } from "../../protocol/generated/agent.ts";
import { Metrics } from "../../protocol/generated/containerd/metrics.ts";
import { toMetrics } from "./metrics.ts";

const NONE = 2n ** 64n - 1n;
const line = { avg10: 1.5, avg60: 0.5, avg300: 0, total: 42n };
const stats: StatsResponse = {
  cpu: {
    usageUsec: 10n,
    userUsec: 6n,
    systemUsec: 4n,
    nrPeriods: 1n,
    nrThrottled: 2n,
    throttledUsec: 3n,
    pressure: { some: line, full: undefined },
  },
  memory: {
    usage: 1000n,
    limit: NONE,
    peak: 2000n,
    swapUsage: 0n,
    swapLimit: 5n,
    stat: { anon: 7n, inactive_file: 8n, kernel_stack: 9n, thp_collapse_alloc: 11n, unknown_key: 12n },
    events: { oom: 1n, oom_kill: 2n, max: 3n },
    pressure: undefined,
  },
  pids: { current: 3n, limit: NONE },
  io: [{ major: 8n, minor: 1n, rbytes: 1n, wbytes: 2n, rios: 3n, wios: 4n, dbytes: 5n, dios: 6n }],
  hugetlb: [{ pageSize: "2MB", current: 1n, limit: 2n, failures: 3n }],
};

test("toMetrics has every reading, and survives the wire", () => {
  const metrics = Metrics.decode(Metrics.encode(toMetrics(stats)).finish());
  assert.deepEqual(metrics.pids, { current: 3n, limit: NONE });
  assert.equal(metrics.cpu?.usageUsec, 10n);
  assert.deepEqual(metrics.cpu?.psi, { some: line, full: undefined });
  const { anon, inactiveFile, kernelStack, thpCollapseAlloc, usage, usageLimit, swapLimit, maxUsage, sock } =
    metrics.memory ?? assert.fail();
  assert.deepEqual(
    [anon, inactiveFile, kernelStack, thpCollapseAlloc, usage, usageLimit, swapLimit, maxUsage, sock],
    [7n, 8n, 9n, 11n, 1000n, NONE, 5n, 2000n, 0n],
  );
  assert.deepEqual(metrics.memoryEvents, { low: 0n, high: 0n, max: 3n, oom: 1n, oomKill: 2n });
  assert.deepEqual(metrics.io?.usage, [{ major: 8n, minor: 1n, rbytes: 1n, wbytes: 2n, rios: 3n, wios: 4n }]);
  assert.deepEqual(metrics.hugetlb, [{ current: 1n, max: 2n, pagesize: "2MB" }]);
});

test("toMetrics of a cgroup without controllers has nothing to tell", () => {
  const { pids, cpu, memory, memoryEvents, io, hugetlb } = toMetrics({
    ...{ cpu: undefined, memory: undefined, pids: undefined },
    io: [],
    hugetlb: [],
  });
  assert.deepEqual([pids, cpu, memory, memoryEvents], [undefined, undefined, undefined, undefined]);
  assert.deepEqual([io?.usage, hugetlb], [[], []]);
});
