import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { companionsOf, hasEnded, parentOf, peakMemory, processorSeconds, pss } from "./process.ts";

test("hasEnded, parentOf and companionsOf follow a child's life", async () => {
  const child = spawn("sleep", ["1000"], { stdio: "ignore" });
  try {
    const pid = child.pid as number;
    assert.ok(!hasEnded(pid));
    assert.equal(parentOf(pid), process.pid);
    assert.ok(companionsOf(process.pid).includes(pid));
    child.kill("SIGKILL");
    await once(child, "exit");
    assert.ok(hasEnded(pid));
    assert.ok(!companionsOf(process.pid).includes(pid));
  } finally {
    child.kill("SIGKILL");
  }
});

test("pss is no more than the memory that is resident, and that no more than its peak", () => {
  const { rss } = process.memoryUsage();
  const mib = 1024 * 1024;
  assert.ok(pss(process.pid) > 5);
  assert.ok(pss(process.pid) < (rss / mib) * 1.2);
  assert.ok(peakMemory(process.pid) >= (rss / mib) * 0.9);
});

test("processorSeconds counts what this process has used", () => {
  const before = processorSeconds(process.pid);
  const spent = process.cpuUsage();
  while (process.cpuUsage(spent).user + process.cpuUsage(spent).system < 100_000);
  const used = processorSeconds(process.pid) - before;
  assert.ok(used >= 0.08 && used < 2, `${used}`);
});

test("pss of a process that is not there fails", () => {
  assert.throws(() => pss(2 ** 30), { code: "ENOENT" });
});
