import assert from "node:assert/strict";
import { test } from "node:test";
import { Metrics } from "../../protocol/generated/containerd/metrics.ts";
import { sumMetrics } from "./metrics-sum.ts";

const MOST = 2n ** 64n - 1n;
const empty = Metrics.decode(new Uint8Array());
const usage = (rbytes: bigint, minor = 0n) => ({ major: 254n, minor, rbytes, wbytes: 1n, rios: 0n, wios: 0n });
const psi = (avg10: number) => ({ some: { avg10, avg60: 0, avg300: 0, total: 5n }, full: undefined });

test("sumMetrics adds field by field, takes no limit for no limit and the worst pressure", () => {
  const one: Metrics = {
    ...empty,
    pids: { current: 2n, limit: 10n },
    cpu: { ...Metrics.decode(Buffer.from("1200", "hex")).cpu, usageUsec: 5n, psi: psi(1) } as NonNullable<
      Metrics["cpu"]
    >,
    io: { usage: [usage(10n), usage(1n, 16n)] },
    hugetlb: [{ current: 1n, max: 4n, pagesize: "2MB" }],
  };
  const two: Metrics = {
    ...empty,
    pids: { current: 3n, limit: MOST },
    cpu: { ...one.cpu, usageUsec: 7n, psi: psi(3) } as NonNullable<Metrics["cpu"]>,
    io: { usage: [usage(5n)] },
    hugetlb: [{ current: 2n, max: 4n, pagesize: "2MB" }],
  };
  const sum = sumMetrics([one, empty, two]);
  assert.deepEqual(sum.pids, { current: 5n, limit: MOST });
  assert.equal(sum.cpu?.usageUsec, 12n);
  assert.equal(sum.cpu?.psi?.some?.avg10, 3);
  assert.equal(sum.cpu?.psi?.some?.total, 10n);
  assert.deepEqual(sum.io?.usage, [{ ...usage(15n), wbytes: 2n }, usage(1n, 16n)]);
  assert.deepEqual(sum.hugetlb, [{ current: 3n, max: 8n, pagesize: "2MB" }]);
  assert.equal(sum.memory, undefined);
});

test("sumMetrics of nothing is nothing", () => {
  assert.deepEqual(sumMetrics([]), { ...empty, io: { usage: [] }, hugetlb: [] });
});
