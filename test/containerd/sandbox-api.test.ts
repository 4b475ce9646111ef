import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import * as task from "../../protocol/generated/containerd/task.ts";
import { Empty } from "../../protocol/generated/containerd/types.ts";
import { StatusCode } from "../../runtime/ttrpc/status.ts";
import { Bundle } from "../harness/bundle.ts";
import { until } from "../harness/host.ts";
import { Netns } from "../harness/network.ts";
import { isRunning, qemusOf } from "../harness/qemu.ts";
import { Calls, CONFIG } from "./sandbox-calls.ts";
import { Shim, TASK } from "./shim.ts";

test("the Sandbox API: a sandbox without a pause container, from its creation to its end", async () => {
  using netns = new Netns();
  const before = await netns.settled();
  await using shim = await Shim.start("walk");
  assert.deepEqual([shim.answer.version, shim.answer.protocol], [3, "ttrpc"]);
  const calls = new Calls(shim);
  await assert.rejects(calls.ping(), { code: StatusCode.notFound });
  await calls.create(netns.path);
  await assert.rejects(calls.create(netns.path), { code: StatusCode.alreadyExists });
  assert.deepEqual((await calls.platform()).platform, { os: "linux", architecture: "amd64", variant: "" });
  assert.equal((await calls.status()).state, "SANDBOX_NOTREADY");
  await assert.rejects(calls.ping(), { code: StatusCode.failedPrecondition });

  const { pid } = await calls.start();
  assert.equal(pid, shim.pid);
  const [qemu = assert.fail("the sandbox has no QEMU"), ...others] = qemusOf(pid);
  assert.deepEqual(others, []);
  const ended = calls.wait();
  ended.catch(() => {});
  await calls.ping();
  const ready = await calls.status();
  assert.deepEqual([ready.state, ready.pid], ["SANDBOX_READY", pid]);
  assert.equal(JSON.parse(ready.info["info"] ?? "").pid, pid);
  await assert.rejects(calls.start(), { code: StatusCode.failedPrecondition });

  {
    const script =
      "hostname; cat /etc/hostname /etc/resolv.conf; head -c 9 /etc/hosts; echo; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; " +
      "echo from one > /dev/shm/note; exec sleep 1000";
    using one = new Bundle(["sh", "-c", script]);
    using two = new Bundle(["sh", "-c", "cat /dev/shm/note; hostname"]);
    const output = await calls.container("one", one, pid);
    const shown = "api-pod\napi-pod\nsearch example.org\nnameserver 192.0.2.53\noptions ndots:2\n127.0.0.1\n100\n";
    await until(() => readFileSync(output, "utf8").length >= shown.length);
    assert.equal(readFileSync(output, "utf8"), shown);
    const second = await calls.container("two", two, pid);
    assert.equal((await calls.exited("two")).exitStatus, 0);
    assert.equal(readFileSync(second, "utf8"), "from one\napi-pod\n");
    await calls.remove("two");

    const { pids, memory, cpu } = await calls.metrics();
    // The sleep, and what stands for the sandbox.
    assert.equal(pids?.current, 2n);
    assert.ok(memory !== undefined && memory.usage > 0n && cpu !== undefined && cpu.usageUsec > 0n);

    await shim.call(TASK, "Kill", task.KillRequest, { id: "one", execId: "", signal: 9, all: false }, Empty);
    assert.equal((await calls.exited("one")).exitStatus, 137);
    await calls.remove("one");
  }
  // Without containers it goes on.
  await calls.ping();
  await calls.stop();
  const { exitStatus, exitedAt } = await ended;
  assert.equal(exitStatus, 0);
  assert.ok((exitedAt?.seconds ?? 0n) > 0n);
  const { state, exitedAt: stopped } = await calls.status();
  assert.equal(state, "SANDBOX_NOTREADY");
  assert.ok(stopped !== undefined);
  await until(() => !isRunning(qemu));
  await calls.stop();
  await calls.shutdown();
  assert.equal(await shim.gone(), true);
  await netns.returnsTo(before);
  const topics = ["create", "start", "create", "start", "exit", "delete", "exit", "delete"];
  assert.deepEqual(
    shim.topics,
    topics.map((name) => `/tasks/${name}`),
  );
});

test("the Sandbox API: what containers with shared processes leave behind is reaped", async () => {
  using netns = new Netns();
  await using shim = await Shim.start("reaps");
  const calls = new Calls(shim);
  await calls.create(netns.path);
  const { pid } = await calls.start();
  // The inner shell ends at once, and its child is another's then: that of what holds the namespace.
  const script =
    "orphan=$(sh -c 'sleep 1 >/dev/null & echo $!'); grep PPid /proc/$orphan/status; " +
    "for i in $(seq 600); do [ -e /proc/$orphan ] || exit 0; sleep 0.1; done; cat /proc/$orphan/status; exit 1";
  using bundle = new Bundle(["sh", "-c", script]);
  const output = await calls.container("leaves", bundle, pid, { own: ["mount"], shared: ["pid", "network"] });
  const { exitStatus } = await calls.exited("leaves");
  assert.equal(readFileSync(output, "utf8"), "PPid:\t1\n");
  assert.equal(exitStatus, 0);
  await calls.remove("leaves");
  await calls.stop();
  await calls.shutdown();
  assert.equal(await shim.gone(), true);
});

test("the Sandbox API: a VM that dies ends the wait for it with 255, and that for its containers", async () => {
  using netns = new Netns();
  await using shim = await Shim.start("dies");
  const calls = new Calls(shim);
  await calls.create(netns.path);
  const { pid } = await calls.start();
  using bundle = new Bundle();
  await calls.container("one", bundle, pid);
  const [qemu = 0] = qemusOf(pid);
  process.kill(qemu, "SIGKILL");
  assert.equal((await calls.wait()).exitStatus, 255);
  assert.equal((await calls.exited("one")).exitStatus, 255);
  await assert.rejects(calls.ping(), { code: StatusCode.failedPrecondition });
  await calls.remove("one");
  await calls.shutdown();
  assert.equal(await shim.gone(), true);
});

test("the Sandbox API: a sandbox that is stopped while it starts leaves nothing", async () => {
  using netns = new Netns();
  const before = await netns.settled();
  await using shim = await Shim.start("early");
  const calls = new Calls(shim);
  await calls.create(netns.path);
  const { pid } = shim;
  const starting = calls.start();
  starting.catch(() => {});
  await delay(30);
  await calls.stop();
  await assert.rejects(starting, /is being stopped|is being ended/);
  await until(() => qemusOf(pid).length === 0);
  await calls.shutdown();
  assert.equal(await shim.gone(), true);
  await netns.returnsTo(before);
});

test("the Sandbox API refuses the host's network, and a sandbox of a root file system", async () => {
  await using shim = await Shim.start("refused");
  const calls = new Calls(shim);
  const linux = { cgroupParent: "", sysctls: {}, overhead: undefined, resources: undefined };
  const namespaceOptions = { network: 2 as const, pid: 0 as const, ipc: 0 as const, usernsOptions: undefined };
  await calls.create("", { ...CONFIG, linux: { ...linux, securityContext: { namespaceOptions } } });
  await assert.rejects(calls.start(), /network/);
  await calls.shutdown();
  assert.equal(await shim.gone(), true);
});
