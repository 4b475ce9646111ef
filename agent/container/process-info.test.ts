import assert from "node:assert/strict";
import { test } from "node:test";
import { bootTimeNs, describeProcess, parseProcess } from "./process-info.ts";

const stat = "7 (a) b) S 1 7 7 34817 7 4194560 10 0 0 0 150 50 0 0 25 5 2 0 200 8192 1";
const status = "Name:\ta) b\nUid:\t1000\t0\t0\t0\n";

test("parseProcess reads a name with parentheses, times, terminal and arguments", () => {
  assert.deepEqual(parseProcess(7, { stat, status, command: "sleep\0 1\0" }, 1000n), {
    pid: 7,
    parentPid: 1,
    uid: 1000,
    cpuNs: 2_000_000_000n,
    startedAtNs: 2_000_001_000n,
    tty: "pts/1",
    command: "sleep  1",
    stat: "SNsl+",
    virtualBytes: 8192n,
    residentBytes: 4096n,
    memoryPermille: 0,
  });
});

test("parseProcess shows the name of a process without arguments", () => {
  assert.equal(parseProcess(7, { stat, status, command: "" }, 0n).command, "[a) b]");
});

test("describeProcess describes this process and knows when there is none", () => {
  const info = describeProcess(process.pid, bootTimeNs());
  assert.equal(info?.parentPid, process.ppid);
  const age = Date.now() - Number((info?.startedAtNs ?? 0n) / 1_000_000n);
  assert.ok(Math.abs(age - process.uptime() * 1000) < 2000, `${age} ms`);
  assert.equal(describeProcess(2 ** 22 + 1, 0n), undefined);
});
