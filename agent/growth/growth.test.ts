import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { MEMORY_STEPS, stepName } from "../../protocol/guest-memory.ts";
import { Cgroup } from "../cgroups/cgroup.ts";
import { onlineCpus } from "./cpus.ts";
import { MemoryDemand } from "./demand.ts";
import { FreePages } from "./free-pages.ts";
import { parseMeminfo } from "./meminfo.ts";
import { MemorySteps } from "./memory-steps.ts";
import { highs, wanted } from "./thresholds.ts";

const MIB = 1024 * 1024;

function folder(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "caisson-growth-"));
  context.after(() => rmSync(path, { recursive: true }));
  return path;
}

/** What sysfs has: a device for each step, and as many blocks online as are said. */
function kernel(context: TestContext, blocks: readonly number[]) {
  const path = folder(context);
  const devices = join(path, "devices");
  for (const index of MEMORY_STEPS.keys()) {
    const device = join(devices, `PNP0C80:${index.toString(16).padStart(2, "0")}`);
    mkdirSync(device, { recursive: true });
    writeFileSync(join(device, "path"), `\\_SB_.${stepName(index)}\n`);
    writeFileSync(join(device, "sun"), `${index}\n`);
  }
  for (const block of blocks) {
    mkdirSync(join(path, `memory${block}`));
    writeFileSync(join(path, `memory${block}/state`), "online\n");
  }
  writeFileSync(join(path, "block_size_bytes"), "8000000\n");
  return { devices, blocks: path, overcommit: join(path, "overcommit") };
}

function cgroup(context: TestContext, files: Record<string, string>): Cgroup {
  const path = folder(context);
  const all = {
    "memory.max": "max",
    "memory.high": "max",
    "memory.current": "0",
    "memory.stat": "",
    "memory.events": "high 0",
    ...files,
  };
  for (const [name, text] of Object.entries(all)) writeFileSync(join(path, name), text);
  return new Cgroup(path);
}

const fileOf = ({ path }: Cgroup, name: string) => readFileSync(join(path, name), "latin1");

test("MemorySteps takes steps one after the other, as many as are allowed", async (context) => {
  const steps = new MemorySteps(kernel(context, [32, 33, 34]));
  assert.equal(steps.left, 0);
  steps.allow({ firstStep: 0, steps: 3 });
  assert.deepEqual([steps.countFor(1), steps.countFor(129), steps.countFor(9999)], [1, 2, 3]);
  await Promise.all([steps.take(1), steps.take(2), steps.take(1)]);
  assert.deepEqual([steps.taken, steps.left], [2, 1]);
  await steps.take(99);
  assert.deepEqual([steps.taken, steps.left, steps.countFor(1)], [3, 0, 0]);
});

test("MemorySteps names the step that the kernel does not take, and keeps those before it", async (context) => {
  const paths = kernel(context, [32]);
  writeFileSync(join(paths.devices, "PNP0C80:01", "path"), "\\_SB_.MEM1\n");
  const steps = new MemorySteps(paths);
  steps.allow({ firstStep: 0, steps: 3 });
  await assert.rejects(steps.take(2), /memory step 1: the device is/);
  assert.equal(steps.taken, 1);
  await steps.take(1);
});

test("parseMeminfo reads bytes, and refuses what is no meminfo", () => {
  const text = "MemTotal:        2030312 kB\nMemFree:         1900000 kB\nMemAvailable:    1912345 kB\n";
  assert.deepEqual(parseMeminfo(text), { total: 2030312 * 1024, available: 1912345 * 1024 });
  assert.throws(() => parseMeminfo("MemTotal: 1 kB\n"), /MemAvailable/);
});

test("wanted is nothing while enough is left, and enough when it is not", () => {
  assert.equal(wanted({ total: 2048 * MIB, available: 1024 * MIB }), 0);
  assert.equal(wanted({ total: 2048 * MIB, available: 100 * MIB }), 512 * MIB);
  assert.ok(wanted({ total: 256 * MIB, available: 150 * MIB }) >= 128 * MIB);
});

test("highs are together no more than what is left, and no container's is below what it uses", () => {
  const now = { total: 2048 * MIB, available: 1128 * MIB };
  const one = { current: 500 * MIB, reclaimable: 300 * MIB };
  assert.deepEqual(highs(now, [one]), [1200 * MIB]);
  const [first = 0, second = 0] = highs(now, [one, { current: 10 * MIB, reclaimable: 0 }]);
  assert.deepEqual([first, second], [700 * MIB, 510 * MIB]);
  assert.deepEqual(highs({ total: 2048 * MIB, available: 0 }, [one]), [500 * MIB]);
});

test("MemoryDemand marks a container without a limit, and the guest grows when it is at its mark", async (context) => {
  const now = { total: 2048 * MIB, available: 1900 * MIB };
  const steps = new MemorySteps(
    kernel(
      context,
      Array.from({ length: 40 }, (_, index) => 32 + index),
    ),
  );
  steps.allow({ firstStep: 0, steps: 8 });
  const demand = new MemoryDemand(steps, () => now);
  const group = cgroup(context, {});
  demand.follow(group);
  assert.equal(fileOf(group, "memory.high"), String((1900 - 128) * MIB));
  demand.look(group);
  now.available = 130 * MIB;
  writeFileSync(join(group.path, "memory.current"), String(1700 * MIB));
  writeFileSync(join(group.path, "memory.events"), "low 0\nhigh 7\n");
  demand.look(group);
  for (let waited = 0; steps.taken === 0 && waited < 5000; waited += 10) await sleep(10);
  assert.ok(steps.taken >= 4, `${steps.taken} steps`);
});

test("MemoryDemand leaves containers alone that have a limit, or a mark of their own, and all once there is no more", async (context) => {
  const steps = new MemorySteps(kernel(context, [32]));
  const demand = new MemoryDemand(steps, () => ({ total: 2048 * MIB, available: 100 * MIB }));
  const unlimited = cgroup(context, {});
  demand.follow(unlimited);
  assert.equal(fileOf(unlimited, "memory.high"), "max", "the guest may not grow");
  steps.allow({ firstStep: 0, steps: 1 });
  const limited = cgroup(context, { "memory.max": "1000000" });
  const marked = cgroup(context, { "memory.high": "4096" });
  for (const each of [unlimited, limited, marked]) demand.follow(each);
  assert.deepEqual([fileOf(limited, "memory.high"), fileOf(marked, "memory.high")], ["max", "4096"]);
  assert.notEqual(fileOf(unlimited, "memory.high"), "max");
  writeFileSync(join(unlimited.path, "memory.events"), "high 1\n");
  demand.look(unlimited);
  for (let waited = 0; fileOf(unlimited, "memory.high") !== "max" && waited < 5000; waited += 10) await sleep(10);
  assert.equal(fileOf(unlimited, "memory.high"), "max");
});

test("MemoryDemand takes its mark away from a container that is given a limit", (context) => {
  const steps = new MemorySteps(kernel(context, []));
  steps.allow({ firstStep: 0, steps: 1 });
  const demand = new MemoryDemand(steps, () => ({ total: 2048 * MIB, available: 1900 * MIB }));
  const group = cgroup(context, {});
  demand.follow(group);
  writeFileSync(join(group.path, "memory.max"), "1000000");
  demand.follow(group);
  // A file of a cgroup is replaced by what is written to it.
  assert.match(fileOf(group, "memory.high"), /^max/);
});

test("onlineCpus puts CPUs online until there are enough, and says how many there are", (context) => {
  const path = folder(context);
  for (const cpu of [1, 2, 3]) {
    mkdirSync(join(path, `cpu${cpu}`));
    writeFileSync(join(path, `cpu${cpu}/online`), "0");
  }
  assert.equal(onlineCpus(1, path), 1);
  assert.equal(onlineCpus(3, path), 3);
  assert.equal(onlineCpus(2, path), 3);
  assert.equal(readFileSync(join(path, "cpu3/online"), "latin1"), "0");
  assert.equal(onlineCpus(9, path), 4);
});

test("FreePages waits until there is something to give back, and begins once", (context) => {
  context.mock.timers.enable({ apis: ["setInterval"] });
  let loaded = 0;
  let used = 64 * MIB;
  const pages = new FreePages(
    () => used,
    () => loaded++,
  );
  pages.report();
  pages.report();
  context.mock.timers.tick(60_000);
  assert.equal(loaded, 0);
  used = 512 * MIB;
  pages.stop();
  context.mock.timers.tick(60_000);
  assert.equal(loaded, 0);
  for (let round = 0; round < 2; round++) {
    pages.report();
    context.mock.timers.tick(60_000);
  }
  assert.equal(loaded, 1);
});
