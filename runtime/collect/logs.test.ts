import assert from "node:assert/strict";
import { test } from "node:test";
import { ourLines } from "./engine-log.ts";
import { formatRecord } from "./kernel-log.ts";

test("formatRecord writes a kernel message as dmesg does", () => {
  const record = "6,339,5140900,-;NET: Registered protocol family\n SUBSYSTEM=net\n";
  assert.equal(formatRecord(record), "[    5.140900] NET: Registered protocol family\n");
  assert.equal(formatRecord("nonsense"), "[    0.000000] \n");
});

test("ourLines keeps what engines say of us, without requests that they print", () => {
  const text = [
    "t1 host containerd: pod web started",
    "t2 host containerd: runtime caisson: cannot start the VM",
    't3 host containerd: caisson RunPodSandbox {Envs:[{"key":"A","value":"SECRET"}]}',
    't4 host dockerd: caisson env="A=SECRET"',
  ].join("\n");
  assert.equal(
    ourLines(text),
    "t2 host containerd: runtime caisson: cannot start the VM\nt3 host containerd: <left out>\nt4 host dockerd: <left out>\n",
  );
});
