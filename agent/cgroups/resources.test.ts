import assert from "node:assert/strict";
import { test } from "node:test";
import type { Resources } from "../../protocol/oci.ts";
import { weightOfBlkio } from "./io.ts";
import { resourceSettings } from "./resources.ts";

const fresh: Record<string, string> = {
  "cpu.max": "max 100000",
  "cpu.max.burst": "0",
  "memory.max": "max",
  "memory.current": "4096",
};

/** The writes for these resources as `file=value`, in a cgroup whose files hold `files`. */
function writes(resources: Resources, files = fresh): string[] {
  return resourceSettings(resources, (file) => files[file]).map(({ file, value }) => `${file}=${value}`);
}

function refused(resources: Resources, code: string, field: string, files = fresh): void {
  assert.throws(() => resourceSettings(resources, (file) => files[file]), { code, field });
}

test("weightOfBlkio maps the ends of cgroup v1 to those of v2", () => {
  assert.deepEqual([10, 1000].map(weightOfBlkio), [1, 10000]);
});

test("resourceSettings writes cpu time, and keeps the half of cpu.max that is not named", () => {
  assert.deepEqual(writes({ cpu: { shares: 1024, quota: 50000, period: 200000 } }), [
    "cpu.weight=100",
    "cpu.max=50000 200000",
  ]);
  assert.deepEqual(writes({ cpu: { quota: -1 } }), ["cpu.max=max 100000"]);
  assert.deepEqual(writes({ cpu: { period: 50000 } }, { "cpu.max": "20000 100000" }), ["cpu.max=20000 50000"]);
  assert.deepEqual(writes({ cpu: { idle: 1 } }), ["cpu.idle=1"]);
});

test("resourceSettings keeps burst within the quota at every step", () => {
  assert.deepEqual(writes({ cpu: { quota: 50000, burst: 20000 } }), ["cpu.max=50000 100000", "cpu.max.burst=20000"]);
  assert.deepEqual(writes({ cpu: { quota: 10000, burst: 5000 } }, { ...fresh, "cpu.max.burst": "20000" }), [
    "cpu.max.burst=5000",
    "cpu.max=10000 100000",
  ]);
});

test("resourceSettings takes the memory limit out of the OCI swap value", () => {
  assert.deepEqual(writes({ memory: { limit: 1000, swap: 1500, reservation: 500 } }), [
    "memory.swap.max=500",
    "memory.max=1000",
    "memory.low=500",
  ]);
  assert.deepEqual(writes({ memory: { limit: 1000, swap: 1000 } }), ["memory.swap.max=0", "memory.max=1000"]);
  assert.deepEqual(writes({ memory: { limit: -1 } }), ["memory.swap.max=max", "memory.max=max"]);
  assert.deepEqual(writes({ memory: { swap: 3000 } }, { "memory.max": "1000" }), ["memory.swap.max=2000"]);
  refused({ memory: { limit: 1000, swap: 500 } }, "CAISSON_E_CONFIG_INVALID", "linux.resources.memory.swap");
  refused({ memory: { swap: 500 } }, "CAISSON_E_CONFIG_INVALID", "linux.resources.memory.swap");
});

test("resourceSettings honours checkBeforeUpdate", () => {
  const memory = { limit: 4095, checkBeforeUpdate: true };
  refused({ memory }, "CAISSON_E_CONFIG_INVALID", "linux.resources.memory.limit");
  assert.deepEqual(writes({ memory: { ...memory, limit: 4096 } }), ["memory.max=4096"]);
});

test("resourceSettings writes pids, io, huge pages, cpuset and unified files", () => {
  assert.deepEqual(writes({ pids: { limit: 5 } }), ["pids.max=5"]);
  assert.deepEqual(writes({ pids: { limit: -1 } }), ["pids.max=max"]);
  assert.deepEqual(writes({ cpu: { cpus: "0-1,3", mems: "0" } }), ["cpuset.cpus=0-1,3", "cpuset.mems=0"]);
  assert.deepEqual(writes({ blockIO: { weight: 10, throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1024 }] } }), [
    "io.weight=default 1",
    "io.max=8:0 rbps=1024",
  ]);
  assert.deepEqual(writes({ blockIO: { weight: 500 } }, { "io.bfq.weight": "default 100" }), [
    "io.bfq.weight=default 500",
  ]);
  assert.deepEqual(writes({ hugepageLimits: [{ pageSize: "2MB", limit: 2n ** 60n }] }), [
    "hugetlb.2MB.max=1152921504606846976",
    "hugetlb.2MB.rsvd.max=1152921504606846976",
  ]);
  assert.deepEqual(writes({ pids: { limit: 5 }, unified: { "pids.max": "9", "memory.high": "max" } }), [
    "pids.max=5",
    "pids.max=9",
    "memory.high=max",
  ]);
});
test("resourceSettings names the controller that a unified file would need", () => {
  assert.throws(() => resourceSettings({ unified: { "foo.bar": "1" } }, () => undefined), {
    message: /^linux\.resources\.unified\["foo\.bar"\] .*the requested cgroup controller `foo` is not available/,
  });
});

test("resourceSettings refuses unified names that leave the directory or belong to the agent", () => {
  for (const name of ["../memory.max", "memory.max/..", "memory", "", "cgroup.procs", "cgroup.kill", "rdma.max"]) {
    assert.throws(() => resourceSettings({ unified: { [name]: "1" } }, () => undefined), /unified/, name);
  }
});

test("resourceSettings names each resource that cgroup v2 does not have", () => {
  const unsupported: [Resources, string][] = [
    [{ rdma: { mlx: { hcaHandles: 1 } } }, "rdma"],
    [{ network: { classID: 1 } }, "network.classID"],
    [{ network: { priorities: [{ name: "eth0", priority: 1 }] } }, "network.priorities"],
    [{ memory: { kernel: 1 } }, "memory.kernel"],
    [{ memory: { kernelTCP: 1 } }, "memory.kernelTCP"],
    [{ memory: { swappiness: 60 } }, "memory.swappiness"],
    [{ memory: { disableOOMKiller: true } }, "memory.disableOOMKiller"],
    [{ cpu: { realtimeRuntime: 1 } }, "cpu.realtimeRuntime"],
    [{ cpu: { hyper: 1 } } as Resources, "cpu.hyper"],
    [{ gpu: {} } as Resources, "gpu"],
    [{ blockIO: { leafWeight: 100 } }, "blockIO.leafWeight"],
  ];
  for (const [resources, field] of unsupported) {
    refused(resources, "CAISSON_E_CONFIG_UNSUPPORTED", `linux.resources.${field}`);
  }
});
