import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { hostSettings, type LimitedFolder, limitOnHost } from "./host-limits.ts";

const values = (kind: string, cpu: object) => hostSettings(kind, { cpu }).map(({ file, value }) => `${file}=${value}`);

test("hostSettings has weight, CPUs and memory nodes, by each version's names, and no quota", () => {
  const cpu = { shares: 1024, quota: 50_000, period: 100_000, cpus: "0-1", mems: "0" };
  assert.deepEqual(values("cpu,cpuacct", cpu), ["cpu.shares=1024", "cpuset.cpus=0-1", "cpuset.mems=0"]);
  assert.deepEqual(values("v2", cpu), ["cpu.weight=100", "cpuset.cpus=0-1", "cpuset.mems=0"]);
  assert.deepEqual(values("v2", { shares: 0, cpus: "" }), []);
  assert.deepEqual(hostSettings("v2", {}), []);
});

test("hostSettings leaves the VM the threads that it needs", () => {
  const pids = (limit: number) =>
    hostSettings("pids", { pids: { limit } }).map(({ file, value }) => `${file}=${value}`);
  assert.deepEqual([1000, 5, 0, -1].flatMap(pids), ["pids.max=1000", "pids.max=512", "pids.max=max", "pids.max=max"]);
});

test("limitOnHost writes what a hierarchy has, and names the field that the host refuses", (t) => {
  const v1 = mounted(t, "cpu,cpuset", ["c/cpu.shares"]);
  limitOnHost([v1], { cpu: { shares: 512, cpus: "0" } });
  assert.equal(readFileSync(join(v1.path, "cpu.shares"), "utf8"), "512");
  mkdirSync(join(v1.path, "cpuset.cpus"));
  assert.throws(() => limitOnHost([v1], { cpu: { cpus: "9" } }), {
    code: "CAISSON_E_CGROUP",
    field: "linux.resources.cpu.cpus",
  });
});

test("limitOnHost has the cgroups of v2 above let it have the controller", (t) => {
  const v2 = mounted(t, "v2", ["cgroup.subtree_control", "a/cgroup.subtree_control", "a/c/cgroup.subtree_control"]);
  const read = (file: string) => readFileSync(join(v2.mount.directory, file), "utf8");
  limitOnHost([{ ...v2, path: join(v2.mount.directory, "a/c") }], { cpu: { cpus: "0" } });
  assert.deepEqual(
    ["", "a", "a/c"].map((folder) => read(join(folder, "cgroup.subtree_control"))),
    ["+cpuset", "+cpuset", ""],
  );
});

/** A folder in the place of a hierarchy, with these empty files, and the cgroup c in it. */
function mounted(t: TestContext, kind: string, files: readonly string[]): LimitedFolder {
  const directory = mkdtempSync(join(tmpdir(), "caisson-limits-"));
  t.after(() => rmSync(directory, { recursive: true }));
  for (const file of files) {
    mkdirSync(join(directory, dirname(file)), { recursive: true });
    writeFileSync(join(directory, file), "");
  }
  return { mount: { kind, directory }, path: join(directory, "c") };
}
