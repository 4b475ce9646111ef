/** What a daemon does before it is asked for its container. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { before, test } from "node:test";
import * as task from "../../protocol/generated/containerd/task.ts";
import { Empty } from "../../protocol/generated/containerd/types.ts";
import { Bundle } from "../harness/bundle.ts";
import { PROGRAM, until } from "../harness/host.ts";
import { isRunning, qemusOf } from "../harness/qemu.ts";
import { Shim, TASK } from "./shim.ts";

// What makes a template are VMs as well.
before(() => execFileSync(PROGRAM, ["template", "build"]));

/** Waits for the VM of a daemon. */
async function qemuOf(daemon: number): Promise<number> {
  await until(() => qemusOf(daemon).length > 0);
  const [qemu = 0, ...others] = qemusOf(daemon);
  assert.deepEqual(others, []);
  return qemu;
}

/** Creates, starts, kills and removes a container. @returns the VM that it is in, and its pid. */
async function live(shim: Shim, id: string, bundle: string): Promise<{ qemu: number; pid: number }> {
  const streams = { terminal: false, stdin: "", stdout: "", stderr: "" };
  const wanted = { id, bundle, rootfs: [], ...streams, checkpoint: "", parentCheckpoint: "", options: undefined };
  const { pid } = await shim.call(TASK, "Create", task.CreateTaskRequest, wanted, task.CreateTaskResponse);
  const qemu = await qemuOf(shim.pid);
  const one = { id, execId: "" };
  await shim.call(TASK, "Start", task.StartRequest, one, task.StartResponse);
  await shim.call(TASK, "Kill", task.KillRequest, { ...one, signal: 9, all: false }, Empty);
  const { exitStatus } = await shim.call(TASK, "Wait", task.WaitRequest, one, task.WaitResponse);
  assert.equal(exitStatus, 137);
  await shim.call(TASK, "Delete", task.DeleteRequest, one, task.DeleteResponse);
  await shim.call(TASK, "Shutdown", task.ShutdownRequest, { id, now: false }, Empty);
  assert.equal(await shim.gone(), true);
  assert.equal(isRunning(qemu), false);
  return { qemu, pid };
}

test("the VM is started before its container is asked for, which then has it", async () => {
  using bundle = new Bundle();
  await using shim = await Shim.start("ahead", bundle.directory);
  const { pid } = shim;
  const qemu = await qemuOf(pid);
  assert.deepEqual(await live(shim, "ahead", join(shim.folder, "bundle")), { qemu, pid });
});

test("a VM that was started for one container is not another's", async () => {
  using bundle = new Bundle();
  using other = new Bundle();
  await using shim = await Shim.start("ahead", bundle.directory);
  const qemu = await qemuOf(shim.pid);
  assert.notEqual((await live(shim, "other", other.directory)).qemu, qemu);
  assert.equal(isRunning(qemu), false);
});

test("a VM whose container nobody asks for ends with the daemon, and so does a container that cannot be", async () => {
  using bundle = new Bundle();
  await using shim = await Shim.start("alone", bundle.directory);
  const qemu = await qemuOf(shim.pid);
  shim.client.close();
  bundle.spec.linux = {
    ...bundle.spec.linux,
    namespaces: [{ type: "network", path: "/none" }, { type: "uts" }, { type: "mount" }],
  };
  await using wrong = await Shim.start("wrong", bundle.write().directory);
  await assert.rejects(live(wrong, "wrong", join(wrong.folder, "bundle")), /\/none/);
  await wrong.call(TASK, "Shutdown", task.ShutdownRequest, { id: "wrong", now: false }, Empty);
  assert.equal(await wrong.gone(), true);
  assert.equal(await shim.gone(), true);
  assert.equal(isRunning(qemu), false);
});
