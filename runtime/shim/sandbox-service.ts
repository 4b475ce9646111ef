import { Metrics } from "../../protocol/generated/containerd/metrics.ts";
import {
  CreateSandboxRequest,
  PingRequest,
  PlatformRequest,
  PlatformResponse,
  SandboxMetricsRequest,
  SandboxMetricsResponse,
  SandboxStatusRequest,
  SandboxStatusResponse,
  ShutdownSandboxRequest,
  StartSandboxRequest,
  StartSandboxResponse,
  StopSandboxRequest,
  WaitSandboxRequest,
  WaitSandboxResponse,
} from "../../protocol/generated/containerd/sandbox.ts";
import { SHIM_NAME } from "../process/roles.ts";
import type { Services } from "../ttrpc/server.ts";
import { packAny, timestamp } from "./any.ts";
import { action, method } from "./method.ts";
import type { ShimSandbox } from "./sandbox.ts";
import { SANDBOX_SERVICE } from "./service-names.ts";

/** The guest image is built for this one alone. */
const PLATFORM = { os: "linux", architecture: "amd64", variant: "" };

/**
 * The Sandbox service: what a request asks for, done by `sandbox`.
 * @param measure all that the sandbox's containers use together.
 * @param shutDown ends the daemon.
 */
export function sandboxServices(sandbox: ShimSandbox, measure: () => Promise<Metrics>, shutDown: () => void): Services {
  return {
    [SANDBOX_SERVICE]: {
      CreateSandbox: action(CreateSandboxRequest, (request) => sandbox.create(request)),
      StartSandbox: method(StartSandboxRequest, StartSandboxResponse, async ({ sandboxId }, { signal }) => {
        const { pid, createdAt } = await sandbox.start(sandboxId, signal);
        return { pid, createdAt: timestamp(createdAt), spec: undefined };
      }),
      Platform: method(PlatformRequest, PlatformResponse, ({ sandboxId }) => {
        sandbox.check(sandboxId);
        return { platform: PLATFORM };
      }),
      StopSandbox: action(StopSandboxRequest, ({ sandboxId }) => sandbox.stop(sandboxId)),
      WaitSandbox: method(WaitSandboxRequest, WaitSandboxResponse, async ({ sandboxId }) => {
        const { exitCode, exitedAt } = await sandbox.wait(sandboxId);
        return { exitStatus: exitCode, exitedAt: timestamp(exitedAt) };
      }),
      SandboxStatus: method(SandboxStatusRequest, SandboxStatusResponse, (request) => statusOf(sandbox, request)),
      PingSandbox: action(PingRequest, ({ sandboxId }) => sandbox.ping(sandboxId)),
      ShutdownSandbox: action(ShutdownSandboxRequest, async ({ sandboxId }) => {
        await sandbox.stop(sandboxId);
        setImmediate(shutDown);
      }),
      SandboxMetrics: method(SandboxMetricsRequest, SandboxMetricsResponse, async ({ sandboxId }) => {
        sandbox.check(sandboxId);
        const data = packAny("io.containerd.cgroups.v2.Metrics", Metrics, await measure());
        return { metrics: { timestamp: timestamp(Date.now()), id: sandboxId, data } };
      }),
    },
  };
}

function statusOf(sandbox: ShimSandbox, { sandboxId, verbose }: SandboxStatusRequest): SandboxStatusResponse {
  const { pid, ready, createdAt, exitedAt } = sandbox.status(sandboxId);
  // The form in which containerd's CRI shows a sandbox to `crictl inspectp`.
  const details = { pid, processStatus: ready ? "running" : "stopped", runtimeType: SHIM_NAME };
  return {
    sandboxId,
    pid,
    state: ready ? "SANDBOX_READY" : "SANDBOX_NOTREADY",
    info: verbose ? { info: JSON.stringify(details) } : {},
    createdAt: timestamp(createdAt),
    exitedAt: exitedAt === undefined ? undefined : timestamp(exitedAt),
    extra: undefined,
  };
}
