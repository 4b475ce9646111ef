import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync } from "node:fs";
import { test } from "node:test";
import { bootMachine } from "../../runtime/factory/boot/boot.ts";
import { startMachine } from "../../runtime/vm/start-machine.ts";
import { agentAnswers, BOOT_LIMIT_MS, Guest } from "./guest.ts";

const signal = new AbortController().signal;

for (const type of ["microvm", "q35"] as const) {
  test(`a ${type} VM boots until its agent answers, and dies when it is killed`, async () => {
    using guest = await Guest.create(type);
    const { machine } = await bootMachine(guest.spec, agentAnswers, { signal, limitMs: BOOT_LIMIT_MS });
    process.kill(machine.pid, "SIGKILL");
    const death = await machine.died;
    assert.equal(death.reason, "qemu-exit");
    assert.match(death.description, /killed by SIGKILL/);
    assert.equal(existsSync(`/proc/${machine.pid}`), false);
  });
}

test("a VM with four processors has four", async () => {
  using guest = await Guest.create("microvm");
  const spec = { ...guest.spec, vcpus: 4, mostVcpus: 4, kernelParams: ["loglevel=7"] };
  const { machine } = await bootMachine(spec, agentAnswers, { signal, limitMs: BOOT_LIMIT_MS });
  await machine.kill();
  assert.match(readFileSync(spec.consoleLog, "latin1"), /smp: Brought up 1 node, 4 CPUs/);
});

test("a guest that panics is reported at once, with the panic", async () => {
  using guest = await Guest.create("microvm");
  const spec = { ...guest.spec, kernelParams: ["rdinit=/nonexistent", "root=/dev/nonexistent"] };
  const started = performance.now();
  const machine = await startMachine(spec, { signal });
  const death = await machine.died;
  assert.equal(death.reason, "guest-panic");
  assert.match(death.description, /Unable to mount root fs/);
  assert.ok(performance.now() - started < BOOT_LIMIT_MS);
});

test("a guest that does not come up within its limit is reported with its console's last lines", async () => {
  using guest = await Guest.create("microvm");
  const spec = { ...guest.spec, kernelParams: ["loglevel=7"] };
  const booting = bootMachine(spec, () => new Promise<never>(() => {}), { signal, limitMs: 15_000 });
  await assert.rejects(booting, { code: "CAISSON_E_VM_START", message: /within 15 s.*\n {2}\[ +\d+\.\d+\] / });
  assert.ok(statSync(spec.consoleLog).size > 0);
});

test("a kernel that cannot be read is reported with QEMU's words", async () => {
  using guest = await Guest.create("microvm");
  const spec = { ...guest.spec, kernel: "/nonexistent/vmlinux" };
  const booting = bootMachine(spec, agentAnswers, { signal, limitMs: BOOT_LIMIT_MS });
  await assert.rejects(booting, { code: "CAISSON_E_VM_START", message: /QEMU said:.*\/nonexistent\/vmlinux/ });
});
