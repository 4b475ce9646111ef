import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { Metrics } from "../../protocol/generated/containerd/metrics.ts";
import { PodSandboxConfig } from "../../protocol/generated/containerd/pod-config.ts";
import * as sandbox from "../../protocol/generated/containerd/sandbox.ts";
import * as task from "../../protocol/generated/containerd/task.ts";
import { Empty } from "../../protocol/generated/containerd/types.ts";
import type { NamespaceType } from "../../protocol/oci.ts";
import { packAny } from "../../runtime/shim/any.ts";
import type { Bundle } from "../harness/bundle.ts";
import { SANDBOX, type Shim, TASK } from "./shim.ts";

export const CONFIG: PodSandboxConfig = {
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

/** The namespaces of a sandbox, with their names in /proc/PID/ns. */
const SHARED = { ipc: "ipc", uts: "uts", network: "net", pid: "pid" } as const;

export interface ContainerOptions {
  output?: string;
  own?: readonly NamespaceType[];
  shared?: readonly (keyof typeof SHARED)[];
  rootfs?: task.CreateTaskRequest["rootfs"];
}

/** containerd's calls about one sandbox. */
export class Calls {
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

  /**
   * Starts a container whose output goes to a file, or to a FIFO that is there. @returns that file's path.
   * @param own the namespaces that it does not share with its pod or with the guest. @param shared those of its pod.
   */
  async container(id: string, bundle: Bundle, sandboxPid: number, options: ContainerOptions = {}): Promise<string> {
    const { shim } = this;
    const {
      output = join(shim.folder, `${id}.log`),
      own = ["pid", "mount"],
      shared = ["ipc", "uts", "network"],
      rootfs = [],
    } = options;
    bundle.spec.hostname = "";
    bundle.spec.mounts = bundle.spec.mounts?.filter(({ destination }) => destination !== "/dev/shm") ?? [];
    bundle.spec.linux = {
      ...bundle.spec.linux,
      namespaces: [
        ...own.map((type) => ({ type })),
        ...shared.map((type) => ({ type, path: `/proc/${sandboxPid}/ns/${SHARED[type]}` })),
      ],
    };
    bundle.write();
    const kind = statSync(output, { throwIfNoEntry: false })?.isFIFO() ? "fifo" : "file";
    const streams = { terminal: false, stdin: "", stdout: `${kind}://${output}`, stderr: "" };
    const request = { id, bundle: bundle.directory, rootfs, ...streams, checkpoint: "", parentCheckpoint: "" };
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
