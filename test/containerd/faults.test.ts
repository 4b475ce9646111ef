import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "../harness/host.ts";
import { isRunning, qemusOf } from "../harness/qemu.ts";
import { Engine, IMAGE, options, RUNTIME, whyNot } from "./engine.ts";
import { Events } from "./events.ts";
import { nothingRemains } from "./remains.ts";

let engine: Engine;
before(async () => {
  if (whyNot !== undefined) return;
  engine = await Engine.start();
});
after(async () => {
  if (whyNot !== undefined) return;
  await engine.stop();
});

test("a VM that dies ends its container with 255 and an event", options, async () => {
  using events = await Events.watch(engine);
  await engine.detached("vm");
  const [qemu = 0] = qemusOf(await engine.pid("vm"));
  assert.ok(qemu > 0);
  process.kill(qemu, "SIGKILL");
  assert.equal((await events.wait("vm", "/tasks/exit"))["exit_status"], 255);
  assert.equal(await engine.status("vm"), "STOPPED");
  await engine.remove("vm");
  await nothingRemains(engine);
});

test("a daemon that is killed leaves nothing, and containerd learns of the end", options, async () => {
  using events = await Events.watch(engine);
  await engine.detached("daemon");
  const daemon = await engine.pid("daemon");
  const [qemu = 0] = qemusOf(daemon);
  process.kill(daemon, "SIGKILL");
  assert.equal((await events.wait("daemon", "/tasks/exit"))["exit_status"], 255);
  await until(() => !isRunning(qemu));
  await engine.remove("daemon");
  await nothingRemains(engine);
});

test("containerd that is killed and restarted finds its tasks, and what ended meanwhile", options, async () => {
  await engine.detached("stays");
  await engine.detached("ends", "sh", "-c", "trap 'exit 5' TERM; while true; do sleep 0.1; done");
  const pid = await engine.pid("ends");
  await engine.kill();
  process.kill(pid, 0);
  await engine.run();
  assert.equal(await engine.status("stays"), "RUNNING");
  const { stdout } = await engine.ctr("task", "exec", "--exec-id", "x", "stays", "echo", "still here");
  assert.equal(stdout, "still here\n");
  using events = await Events.watch(engine);
  await engine.need("task", "kill", "--signal", "SIGTERM", "ends");
  assert.equal((await events.wait("ends", "/tasks/exit"))["exit_status"], 5);
  await engine.remove("stays");
  await engine.remove("ends");
  await nothingRemains(engine);
});

test(
  "containerd that is killed in mid-create and restarted can remove the container, and nothing is left",
  options,
  async () => {
    for (const waitMs of [150, 600]) {
      const id = `mid-${waitMs}`;
      const args = ["--address", engine.socket, "run", "--detach", "--runtime", RUNTIME, IMAGE, id, "sleep", "1000"];
      const client = spawn("ctr", args, { stdio: "ignore" });
      await delay(waitMs);
      await engine.kill();
      if (client.exitCode === null) await once(client, "exit");
      await engine.run();
      await engine.remove(id);
      // containerd 1.6 keeps a daemon that has no task, which ends by itself.
      await nothingRemains(engine);
      await until(() => engine.bundles().length === 0);
    }
    await engine.detached("after");
    assert.equal(await engine.status("after"), "RUNNING");
    await engine.remove("after");
    await nothingRemains(engine);
  },
);

test("a client that is killed while its container is created leaves nothing", options, async () => {
  for (const waitMs of [200, 600]) {
    const id = `early-${waitMs}`;
    const args = ["--address", engine.socket, "run", "--rm", "--runtime", RUNTIME, IMAGE, id, "sleep", "1000"];
    const client = spawn("ctr", args, { stdio: "ignore" });
    await delay(waitMs);
    client.kill("SIGINT");
    await delay(100);
    client.kill("SIGKILL");
    if (client.exitCode === null && client.signalCode === null) await once(client, "exit");
    await engine.remove(id);
    await nothingRemains(engine);
  }
});

test("a process that writes more than its reader takes can still be killed", options, async () => {
  const args = ["--address", engine.socket, "run", "--runtime", RUNTIME, IMAGE, "floods", "yes"];
  const client = spawn("ctr", args, { stdio: ["ignore", "pipe", "ignore"] });
  await until(async () => (await engine.status("floods")) === "RUNNING");
  await delay(500);
  using events = await Events.watch(engine);
  await engine.need("task", "kill", "--signal", "SIGKILL", "floods");
  assert.equal((await events.wait("floods", "/tasks/exit"))["exit_status"], 137);
  client.kill("SIGKILL");
  await engine.remove("floods");
  await nothingRemains(engine);
});
