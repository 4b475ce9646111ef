import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hostSettings, limitOnHost } from "./host-limits.ts";

const values = (kind: string, cpu: object) => hostSettings(kind, cpu).map(({ file, value }) => `${file}=${value}`);

test("hostSettings has weight, CPUs and memory nodes, by each version's names, and no quota", () => {
  const cpu = { shares: 1024, quota: 50_000, period: 100_000, cpus: "0-1", mems: "0" };
  assert.deepEqual(values("cpu,cpuacct", cpu), ["cpu.shares=1024", "cpuset.cpus=0-1", "cpuset.mems=0"]);
  assert.deepEqual(values("v2", cpu), ["cpu.weight=100", "cpuset.cpus=0-1", "cpuset.mems=0"]);
  assert.deepEqual(values("v2", { shares: 0, cpus: "" }), []);
  assert.deepEqual(hostSettings("v2"), []);
});

test("limitOnHost writes what the hierarchy has, and names the field that the host refuses", () => {
  const folder = mkdtempSync(join(tmpdir(), "caisson-limits-"));
  try {
    writeFileSync(join(folder, "cpu.shares"), "");
    limitOnHost(folder, "cpu", { cpu: { shares: 512, cpus: "0" } });
    assert.equal(readFileSync(join(folder, "cpu.shares"), "utf8"), "512");
    mkdirSync(join(folder, "cpuset.cpus"));
    assert.throws(() => limitOnHost(folder, "cpuset", { cpu: { cpus: "9" } }), {
      code: "CAISSON_E_CGROUP",
      field: "linux.resources.cpu.cpus",
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
