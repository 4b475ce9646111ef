import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Metrics } from "../../protocol/generated/containerd/metrics.ts";
import { PodSandboxConfig } from "../../protocol/generated/containerd/pod-config.ts";
import * as sandbox from "../../protocol/generated/containerd/sandbox.ts";
import * as task from "../../protocol/generated/containerd/task.ts";
import { Empty } from "../../protocol/generated/containerd/types.ts";
import { packAny } from "../../runtime/shim/any.ts";
import { StatusCode } from "../../runtime/ttrpc/status.ts";
import { Bundle } from "../harness/bundle.ts";
import { Netns } from "../harness/network.ts";
import { qemuOf } from "./remains.ts";
import { SANDBOX, Shim, TASK } from "./shim.ts";

const CONFIG: PodSandboxConfig = {
  hostname: "api-pod",
  dnsConfig: { servers: ["192.0.2.53"], searches: ["example.org"], options: ["ndots:2"] },
  annotations: {},
  linux: {
    cgroupParent: "",
    securityContext: undefined,
    sysctls: { "net.ipv4.ip_unprivileged_port_start": "100" },
    overhead: undefined,
    resources: { cpuPeriod: 100_000n, cpuQuota: 100_000n, cpuShares: 1024n, memoryLimitInBytes: 0n },
  },
};

/** containerd's calls about one sandbox. */
class Calls {
  readonly shim: Shim;

  constructor(shim: Shim) {
    this.shim = shim;
  }

  create(netnsPath: string, config = CONFIG): Promise<Empty> {
    const options = packAny("runtime.v1.PodSandboxConfig", PodSandboxConfig, config);
    const bundlePath = join(this.shim.folder, "bundle");
    const request = { sandboxId: this.shim.id, bundlePath, rootfs: [], options, netnsPath, annotations: {} };
    return this.shim.call(SANDBOX, "CreateSandbox", sandbox.CreateSandboxRequest, request, Empty);
  }

  start(): Promise<sandbox.StartSandboxResponse> {
    return this.#call("StartSandbox", sandbox.StartSandboxResponse);
  }

  wait(): Promise<sandbox.WaitSandboxResponse> {
    return this.#call("WaitSandbox", sandbox.WaitSandboxResponse);
  }

  platform(): Promise<sandbox.PlatformResponse> {
    return this.#call("Platform", sandbox.PlatformResponse);
  }

  ping(): Promise<Empty> {
    return this.#call("PingSandbox", Empty);
  }

  async metrics(): Promise<Metrics> {
    const { metrics } = await this.#call("SandboxMetrics", sandbox.SandboxMetricsResponse);
    assert.equal(metrics?.data?.typeUrl, "io.containerd.cgroups.v2.Metrics");
    return Metrics.decode(metrics.data.value);
  }

  shutdown(): Promise<Empty> {
    return this.#call("ShutdownSandbox", Empty);
  }

  stop(): Promise<Empty> {
    const request = { sandboxId: this.shim.id, timeoutSecs: 5 };
    return this.shim.call(SANDBOX, "StopSandbox", sandbox.StopSandboxRequest, request, Empty);
  }

  status(): Promise<sandbox.SandboxStatusResponse> {
    const request = { sandboxId: this.shim.id, verbose: true };
    const { SandboxStatusRequest, SandboxStatusResponse } = sandbox;
    return this.shim.call(SANDBOX, "SandboxStatus", SandboxStatusRequest, request, SandboxStatusResponse);
  }

  /** Starts a container whose output goes to a file. @returns that file's path. */
  async container(id: string, bundle: Bundle, sandboxPid: number): Promise<string> {
    const { shim } = this;
    const paths = { ipc: "ipc", uts: "uts", network: "net" } as const;
    bundle.spec.hostname = "";
    bundle.spec.mounts = bundle.spec.mounts?.filter(({ destination }) => destination !== "/dev/shm") ?? [];
    bundle.spec.linux = {
      ...bundle.spec.linux,
      namespaces: [
        ...[{ type: "pid" as const }, { type: "mount" as const }],
        ...(["ipc", "uts", "network"] as const).map((type) => ({
          type,
          path: `/proc/${sandboxPid}/ns/${paths[type]}`,
        })),
      ],
    };
    bundle.write();
    const output = join(shim.folder, `${id}.log`);
    const streams = { terminal: false, stdin: "", stdout: `file://${output}`, stderr: `file://${output}` };
    const request = { id, bundle: bundle.directory, rootfs: [], ...streams, checkpoint: "", parentCheckpoint: "" };
    const create = { ...request, options: undefined };
    const { pid } = await shim.call(TASK, "Create", task.CreateTaskRequest, create, task.CreateTaskResponse);
    assert.notEqual(pid, sandboxPid);
    await shim.call(TASK, "Start", task.StartRequest, { id, execId: "" }, task.StartResponse);
    return output;
  }

  exited(id: string): Promise<task.WaitResponse> {
    return this.shim.call(TASK, "Wait", task.WaitRequest, { id, execId: "" }, task.WaitResponse);
  }

  /** Deletes a container that has ended, as containerd does: it asks for the daemon's end as well. */
  async remove(id: string): Promise<void> {
    await this.shim.call(TASK, "Delete", task.DeleteRequest, { id, execId: "" }, task.DeleteResponse);
    await this.shim.call(TASK, "Shutdown", task.ShutdownRequest, { id, now: false }, Empty);
  }

  #call<Response>(method: string, response: Parameters<Shim["call"]>[4] & { decode(input: Uint8Array): Response }) {
    const request = { sandboxId: this.shim.id };
    return this.shim.call(SANDBOX, method, sandbox.StartSandboxRequest, request, response) as Promise<Response>;
  }
}

test("the Sandbox API: a sandbox without a pause container, from its creation to its end", async () => {
  using netns = new Netns();
  const before = netns.state;
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
  assert.equal(qemuOf(pid).length, 1);
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
    for (const end = performance.now() + 10_000; performance.now() < end; await delay(30)) {
      if (readFileSync(output, "utf8").length >= shown.length) break;
    }
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
  assert.equal(qemuOf(pid).length, 0);
  await calls.stop();
  await calls.shutdown();
  assert.equal(await shim.gone(), true);
  assert.equal(netns.state, before);
  const topics = ["create", "start", "create", "start", "exit", "delete", "exit", "delete"];
  assert.deepEqual(
    shim.topics,
    topics.map((name) => `/tasks/${name}`),
  );
});

test("the Sandbox API: a VM that dies ends the wait for it with 255, and that for its containers", async () => {
  using netns = new Netns();
  await using shim = await Shim.start("dies");
  const calls = new Calls(shim);
  await calls.create(netns.path);
  const { pid } = await calls.start();
  using bundle = new Bundle();
  await calls.container("one", bundle, pid);
  const [qemu = 0] = qemuOf(pid);
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
  const before = netns.state;
  await using shim = await Shim.start("early");
  const calls = new Calls(shim);
  await calls.create(netns.path);
  const { pid } = shim;
  const starting = calls.start();
  starting.catch(() => {});
  await delay(150);
  await calls.stop();
  await assert.rejects(starting, /is being stopped|is being ended/);
  assert.deepEqual(qemuOf(pid), []);
  await calls.shutdown();
  assert.equal(await shim.gone(), true);
  assert.equal(netns.state, before);
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
