import assert from "node:assert/strict";
import { test } from "node:test";
import { runInSteadyVm } from "./outer-vm.ts";

test("native/vsock's own tests pass over the kernel's loopback, none skipped", async (t) => {
  const { exitStatus, output } = await runInSteadyVm(
    "modprobe vsock_loopback && node_modules/.bin/node --test --test-reporter=tap native/vsock/socket.test.ts",
    { name: "loopback", timeoutMs: 300_000 },
    (message) => t.diagnostic(message),
  );
  assert.equal(exitStatus, 0, output);
  assert.match(output, /^# skipped 0$/m, output);
  t.diagnostic(`${/^# tests (\d+)$/m.exec(output)?.[1]} tests in the VM`);
});
