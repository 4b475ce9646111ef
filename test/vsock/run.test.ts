import assert from "node:assert/strict";
import { test } from "node:test";
import { runInOuterVm } from "./outer-vm.ts";

test("caisson run, create, start, exec and delete over the kernel's vhost_vsock, booted and cloned", async (t) => {
  const { exitStatus, output } = await runInOuterVm("exec test/vsock/main-job.sh", { timeoutMs: 1_800_000 });
  for (const line of output.trim().split("\n")) t.diagnostic(line);
  assert.equal(exitStatus, 0, output);
  assert.match(output, /all done\n$/);
});
