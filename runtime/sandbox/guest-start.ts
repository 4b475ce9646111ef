/** What a guest starts from: its options, what is made of them, and its first request. */
import { CaissonError } from "../../protocol/errors.ts";
import type { VmCgroup } from "../factory/boot/boot.ts";
import type { ForkServer } from "../factory/fork-server/fork-server.ts";
import type { TemplateStore } from "../factory/template/store.ts";
import type { Template } from "../factory/template/template.ts";
import { WARM_UP_LIMIT_FACTOR, warmUpWith } from "../factory/warm-up/warm-up.ts";
import type { Agent } from "../guest/agent/client.ts";
import type { SandboxCall } from "../guest/agent/sandbox-call.ts";
import { sandboxRequest } from "../guest/create-sandbox-request.ts";
import { explained } from "../guest/network.ts";
import type { PodNames } from "../metrics/measurement.ts";
import { encodeBatch, type Request } from "../network/message.ts";
import type { SandboxNetwork } from "../network/network.ts";
import { now } from "../process/clock.ts";
import { tracePhase } from "../process/trace.ts";
import type { VolumeAccessLists } from "../storage/joined-volumes.ts";
import type { Virtiofsd } from "../storage/virtiofsd/find.ts";
import { formatError } from "../text/errors.ts";
import { type LogFields, log } from "../text/log.ts";
import type { VmSpec } from "../vm/spec.ts";

export interface GuestOptions {
  id: string;
  /** But for its network devices. */
  vm: VmSpec;
  /** What of its memory is the guest's own. */
  memoryOverheadMib: number;
  /** Mount point of what the guest sees. */
  shareDirectory: string;
  volumeAccessLists: VolumeAccessLists;
  virtiofsd: Virtiofsd;
  /** Where to find or build a warm template to clone; undefined boots. */
  templates: TemplateStore | undefined;
  /** Whether the VM is forked where that can be. */
  forks: boolean;
  /** What the VM is to be in. That this process cannot join it is a failure of the start. */
  cgroup?: VmCgroup;
  bootLimitMs: number;
  /** The guest's own, for containers that have no uts namespace; the image's by default. */
  hostname?: string | undefined;
  logLevel: "error" | "warning" | "info" | "debug";
  /** The pod as Kubernetes knows it; undefined for what is no pod. */
  pod?: PodNames | undefined;
  /** The namespace that this process is in already; closed with the sandbox, also when it does not start. */
  network?: SandboxNetwork | undefined;
  signal: AbortSignal;
}

/** Forked, cloned or booted, and why not what would be sooner. */
export function startFacts(
  { templates, forks, vm }: GuestOptions,
  template: Template | undefined,
  forkServer: ForkServer | undefined,
): LogFields {
  if (template === undefined) {
    return {
      how: "boot",
      why: whyBooted(templates, vm),
    };
  }
  const { key, folder } = template;
  if (forkServer !== undefined) return { how: "fork", template: key, folder, forkServer: forkServer.pid };
  return {
    how: "clone",
    template: key,
    folder,
    why: forks ? "there is no fork server yet" : "fork servers are off or of no use",
  };
}

function whyBooted(templates: TemplateStore | undefined, { passed }: VmSpec): string {
  if (passed.length > 0) return "devices of the host's are passed to it";
  return templates === undefined ? "templates are off or cannot be kept" : "there is no template";
}

/** The template of this VM, built first if need be. Without room for one the sandbox boots, and the log says why. */
export async function openTemplate({
  templates,
  vm,
  virtiofsd,
  cgroup,
  signal,
  bootLimitMs,
}: GuestOptions): Promise<Template | undefined> {
  if (templates === undefined) return undefined;
  const start = now();
  try {
    const built = templates.open(vm);
    if (built !== undefined) return built;
    await cgroup?.joined;
    return await templates.prepare(vm, warmUpWith(virtiofsd, vm), {
      signal,
      limitMs: bootLimitMs * WARM_UP_LIMIT_FACTOR,
    });
  } catch (error) {
    if (!(error instanceof CaissonError) || error.code !== "CAISSON_E_TEMPLATE") throw error;
    log.warning(`the sandbox boots, since there is no template for it: ${formatError(error)}`);
    return undefined;
  } finally {
    tracePhase("open template", start);
  }
}

export async function createSandbox(
  agent: Agent,
  options: GuestOptions,
  network: readonly Request[],
  signal: AbortSignal,
): Promise<SandboxCall> {
  const start = now();
  const { id, logLevel, vm, hostname } = options;
  const request = sandboxRequest(id, logLevel, encodeBatch(network), vm, hostname);
  try {
    return await agent.createSandbox(request, signal);
  } catch (error) {
    throw explained(error, network);
  } finally {
    tracePhase("agent: create sandbox", start);
  }
}
