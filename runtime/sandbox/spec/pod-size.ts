/**
 * What CRI engines write into a container's annotations about its pod: containerd's io.kubernetes.cri.* and CRI-O's
 * io.kubernetes.cri-o.*.
 */

import type { CpuResources, MemoryResources, Spec } from "../../../protocol/oci.ts";
import { type Settings, sandboxSize } from "../../config/load.ts";
import type { SandboxSize } from "../../config/size.ts";
import { podOf } from "./cri-annotations.ts";
import { isObject } from "./host-labels.ts";

/**
 * The VM's size for a pod: from the limits of all its containers, which the engine sums up in the sandbox container's
 * annotations; for a container on its own as sandboxSize() does. Throws as that does.
 */
export function podSize(config: Spec, settings: Settings, host: SandboxSize): SandboxSize {
  const { annotations } = config;
  if (podOf(annotations) === undefined) return sandboxSize(config, settings, host);
  const cpu: CpuResources = {};
  const memory: MemoryResources = {};
  const sums = crioSums(annotations);
  const quota = positive(annotations?.["io.kubernetes.cri.sandbox-cpu-quota"] ?? sums["cpu_quota"]);
  const period = positive(annotations?.["io.kubernetes.cri.sandbox-cpu-period"] ?? sums["cpu_period"]);
  const limit = positive(annotations?.["io.kubernetes.cri.sandbox-memory"] ?? sums["memory_limit_in_bytes"]);
  if (quota !== undefined) cpu.quota = quota;
  if (period !== undefined) cpu.period = period;
  if (limit !== undefined) memory.limit = limit;
  return sandboxSize({ ...config, linux: { ...config.linux, resources: { cpu, memory } } }, settings, host);
}

/** CRI's LinuxContainerResources of the pod as JSON, by CRI-O's name for them from 1.35 on, or the older one. */
function crioSums(annotations: Readonly<Record<string, string>> = {}): Record<string, unknown> {
  const text = annotations["pod-linux-resources.crio.io"] ?? annotations["io.kubernetes.cri-o.PodLinuxResources"];
  try {
    const sums: unknown = JSON.parse(text ?? "null");
    return isObject(sums) ? sums : {};
  } catch {
    return {};
  }
}

/** Engines write 0 and -1 for "no limit"; what is no number is none of theirs. */
function positive(given: unknown): number | undefined {
  const text = String(given);
  const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : 0;
  return value > 0 ? value : undefined;
}
