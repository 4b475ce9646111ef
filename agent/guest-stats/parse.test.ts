import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCpu, parseDisks, parseInterfaces, parseLoad, parseMemory } from "./parse.ts";

test("parseCpu reads the line of all CPUs in nanoseconds", () => {
  const cpu = parseCpu("cpu  10 2 30 4000 5 6 7 8 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\nintr 5\n");
  assert.deepEqual(cpu, {
    userNs: 100_000_000n,
    niceNs: 20_000_000n,
    systemNs: 300_000_000n,
    idleNs: 40_000_000_000n,
    iowaitNs: 50_000_000n,
    irqNs: 60_000_000n,
    softirqNs: 70_000_000n,
    stealNs: 80_000_000n,
  });
  assert.equal(parseCpu("").userNs, 0n);
});

test("parseMemory reads bytes, and what is missing is zero", () => {
  const memory = parseMemory(
    "MemTotal:  2048 kB\nMemFree:  1 kB\nCached: 3 kB\nSlab:  4 kB\n",
    "nr_free 5\noom_kill 2\n",
  );
  assert.equal(memory.total, 2_097_152n);
  assert.equal(memory.free, 1024n);
  assert.equal(memory.cached, 3072n);
  assert.equal(memory.available, 0n);
  assert.equal(memory.oomKills, 2n);
});

test("parseDisks takes whole disks only", () => {
  const text = [
    "   7       0 loop0 1 1 1 1 1 1 1 1 1 1 1",
    " 254       0 vda 100 5 2000 10 50 6 400 20 0 30 40 0 0 0 0",
    " 254       1 vda1 1 1 1 1 1 1 1 1 1 1 1",
  ].join("\n");
  assert.deepEqual(parseDisks(text), [
    { name: "vda", reads: 100n, readBytes: 1_024_000n, writes: 50n, writtenBytes: 204_800n, ioNs: 30_000_000n },
  ]);
});

test("parseInterfaces adds the namespaces up by name, and takes no more than 64", () => {
  const header =
    "Inter-|   Receive  |  Transmit\n face |bytes packets errs drop fifo frame compressed multicast|bytes packets\n";
  const line = (name: string) => `${name}: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n`;
  const [lo, eth] = parseInterfaces([header + line("    lo") + line("  eth0"), header + line("    lo")]);
  assert.deepEqual(lo, {
    name: "lo",
    receivedBytes: 2n,
    receivedPackets: 4n,
    receiveErrors: 6n,
    receiveDrops: 8n,
    sentBytes: 10n,
    sentPackets: 12n,
    sendErrors: 14n,
    sendDrops: 16n,
  });
  assert.equal(eth?.sentBytes, 5n);
  assert.equal(parseInterfaces([Array.from({ length: 1000 }, (_, n) => line(`x${n}`)).join("")]).length, 64);
});

test("parseLoad reads the averages and the processes", () => {
  assert.deepEqual(parseLoad("0.50 0.25 0.10 2/77 1234\n", "processes 99\nprocs_running 2\nprocs_blocked 1\n"), {
    load1: 0.5,
    load5: 0.25,
    load15: 0.1,
    running: 2n,
    blocked: 1n,
    threads: 77n,
    forks: 99n,
  });
});
