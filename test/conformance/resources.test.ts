/** config-linux.md, Control groups: what is asked for is in the guest's cgroup, at create and by update. One VM. */
import assert from "node:assert/strict";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { stringifyJson } from "../../protocol/json.ts";
import type { Resources } from "../../protocol/oci.ts";
import { Bundle } from "../harness/bundle.ts";
import { errorOf, Host } from "../harness/host.ts";

const MIB = 2 ** 20;
const host = new Host();
const bundle = new Bundle(["sleep", "1000"]);
let id: string;

before(async () => {
  symlinkSync("busybox", join(bundle.rootfs, "bin/mknod"));
  const capabilities = ["CAP_MKNOD"];
  bundle.process.capabilities = { bounding: capabilities, effective: capabilities, permitted: capabilities };
  Object.assign(bundle.spec.linux ?? {}, {
    devices: [{ path: "/dev/odd", type: "c", major: 10, minor: 200, fileMode: 0o666 }],
    resources: {
      devices: [{ allow: false, access: "rwm" }],
      memory: { limit: 64 * MIB, swap: 96 * MIB, reservation: 32 * MIB },
      cpu: { shares: 512, quota: 50_000, period: 200_000, burst: 1000, cpus: "0", mems: "0" },
      pids: { limit: 77 },
      blockIO: { weight: 500 },
      hugepageLimits: [{ pageSize: "2MB", limit: 4 * MIB }],
      unified: { "memory.high": String(48 * MIB), "memory.oom.group": "1" },
    } satisfies Resources,
  });
  bundle.write();
  id = await host.start(bundle);
});
after(async () => {
  await host[Symbol.asyncDispose]();
  bundle[Symbol.dispose]();
});

/** The files of the container's cgroup, one line each. */
async function read(...files: string[]): Promise<string[]> {
  const script = files.map((file) => `echo $(cat /sys/fs/cgroup/${file})`).join("; ");
  return (await host.ok(["exec", id, "sh", "-c", script])).trimEnd().split("\n");
}

async function update(resources: Resources): Promise<void> {
  await host.ok(["update", "--resources", "-", id], { input: stringifyJson(resources) });
}

test("create sets every limit, converted to cgroup v2", async () => {
  const expected = {
    "memory.max": String(64 * MIB),
    // OCI's swap counts memory, too.
    "memory.swap.max": String(32 * MIB),
    "memory.low": String(32 * MIB),
    "memory.high": String(48 * MIB),
    "memory.oom.group": "1",
    // 1024 shares, the default, are a weight of 100.
    "cpu.weight": "59",
    "cpu.max": "50000 200000",
    "cpu.max.burst": "1000",
    "cpuset.cpus": "0",
    "cpuset.mems": "0",
    "pids.max": "77",
    "io.weight": "default 4950",
    "hugetlb.2MB.max": String(4 * MIB),
    "hugetlb.2MB.rsvd.max": String(4 * MIB),
  };
  assert.deepEqual(await read(...Object.keys(expected)), Object.values(expected));
});

test("update changes each of them while the container runs", async () => {
  await update({
    memory: { limit: 128 * MIB, swap: 128 * MIB, reservation: 16 * MIB },
    cpu: { shares: 1024, quota: -1, burst: 0 },
    pids: { limit: -1 },
    blockIO: { weight: 1000 },
    hugepageLimits: [{ pageSize: "2MB", limit: 2 * MIB }],
    unified: { "memory.high": "max" },
  });
  const expected = {
    "memory.max": String(128 * MIB),
    "memory.swap.max": "0",
    "memory.low": String(16 * MIB),
    "memory.high": "max",
    "cpu.weight": "100",
    "cpu.max": "max 200000",
    "cpu.max.burst": "0",
    "pids.max": "max",
    "io.weight": "default 10000",
    "hugetlb.2MB.max": String(2 * MIB),
  };
  assert.deepEqual(await read(...Object.keys(expected)), Object.values(expected));
});

test("update --cpu-idle, and shares that have no meaning then", async () => {
  await host.ok(["update", "--cpu-idle", "1", id]);
  assert.deepEqual(await read("cpu.idle"), ["1"]);
  const result = await host.run(["update", "--cpu-share", "100", "--cpu-idle", "1", id]);
  assert.match(errorOf(result), /linux\.resources\.cpu\.shares has no meaning while linux\.resources\.cpu\.idle is 1/);
  await host.ok(["update", "--cpu-idle", "0", id]);
  assert.deepEqual(await read("cpu.idle"), ["0"]);
});

test("update replaces the rules for devices", async () => {
  const open = () => host.run(["exec", id, "sh", "-c", "head -c 0 /dev/odd && echo open; head -c 1 /dev/zero | wc -c"]);
  assert.equal((await open()).stdout, "1\n");
  const deny = { allow: false, access: "rwm" };
  await update({ devices: [deny, { allow: true, type: "c", major: 10, minor: 200, access: "rw" }] });
  assert.equal((await open()).stdout, "open\n1\n");
  await update({ devices: [deny] });
  assert.equal((await open()).stdout, "1\n");
});

test("update limits the guest's own disks, by the guest's numbers", async () => {
  const disks = await host.ok(["exec", id, "cat", "/proc/partitions"]);
  const [, major, minor] = /^ +(\d+) +(\d+) +\d+ vda$/m.exec(disks) ?? [];
  const disk = { major: Number(major), minor: Number(minor) };
  const rate = (value: number) => [{ ...disk, rate: value }];
  await update({
    blockIO: {
      throttleReadBpsDevice: rate(1 * MIB),
      throttleWriteBpsDevice: rate(2 * MIB),
      throttleReadIOPSDevice: rate(300),
      throttleWriteIOPSDevice: rate(400),
    },
  });
  const limits = `${major}:${minor} rbps=${MIB} wbps=${2 * MIB} riops=300 wiops=400`;
  assert.deepEqual(await read("io.max"), [limits]);
  await update({ blockIO: { throttleReadBpsDevice: rate(0), throttleReadIOPSDevice: rate(0) } });
  assert.deepEqual(await read("io.max"), [`${major}:${minor} rbps=max wbps=${2 * MIB} riops=max wiops=400`]);
});

test("update refuses what cannot be, and leaves the limits as they are", async () => {
  const before = await read("memory.max", "pids.max");
  for (const [resources, message] of [
    [{ memory: { limit: 64 * MIB, swap: 32 * MIB } }, /swap: must be at least .*limit/],
    [{ memory: { limit: 4096, checkBeforeUpdate: true } }, /is below the \d+ bytes in use/],
    [{ unified: { "nope.max": "1" } }, /may be set/],
    [{ unified: { "cgroup.procs": "1" } }, /must be the name of a controller's file/],
    [{ unified: { "memory.nope": "1" } }, /has no memory\.nope/],
    [{ hugepageLimits: [{ pageSize: "3MB", limit: 1 }] }, /has no hugetlb\.3MB\.max/],
    [{ blockIO: { throttleReadBpsDevice: [{ major: 250, minor: 99, rate: 1 }] } }, /throttleReadBpsDevice\[0\]/],
  ] satisfies [Resources, RegExp][]) {
    const result = await host.run(["update", "-r", "-", id], { input: stringifyJson(resources) });
    assert.equal(result.exitCode, 1);
    assert.match(errorOf(result), message);
  }
  assert.deepEqual(await read("memory.max", "pids.max"), before);
});

test("events --stats has the sections that runc's has", async () => {
  const { type, data } = JSON.parse(await host.ok(["events", "--stats", id])) as { type: string; data: object };
  const sections = ["cpu", "memory", "pids", "blkio", "hugetlb", "intel_rdt", "network_interfaces"];
  assert.equal(type, "stats");
  assert.deepEqual(Object.keys(data).sort(), sections.sort());
});
