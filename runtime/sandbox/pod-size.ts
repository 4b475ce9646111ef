/**
 * What CRI engines write into a container's annotations about its pod: containerd's io.kubernetes.cri.* and CRI-O's
 * io.kubernetes.cri-o.*.
 */

import type { CpuResources, MemoryResources, Spec } from "../../protocol/oci.ts";
import type { SandboxSize } from "../config/size.ts";
import { type Settings, sandboxSize } from "../config.ts";
import { podOf } from "./pod-of.ts";

/**
 * The VM's size for a pod: from the limits of all its containers, which the engine sums up in the sandbox container's
 * annotations; for a container on its own as sandboxSize() does. Throws as that does.
 */
export function podSize(config: Spec, settings: Settings, host: SandboxSize): SandboxSize {
  const { annotations } = config;
  if (podOf(annotations) === undefined) return sandboxSize(config, settings, host);
  const cpu: CpuResources = {};
  const memory: MemoryResources = {};
  const quota = positive(annotations?.["io.kubernetes.cri.sandbox-cpu-quota"]);
  const period = positive(annotations?.["io.kubernetes.cri.sandbox-cpu-period"]);
  const limit = positive(annotations?.["io.kubernetes.cri.sandbox-memory"]);
  if (quota !== undefined) cpu.quota = quota;
  if (period !== undefined) cpu.period = period;
  if (limit !== undefined) memory.limit = limit;
  return sandboxSize({ ...config, linux: { ...config.linux, resources: { cpu, memory } } }, settings, host);
}

/** Engines write 0 and -1 for "no limit"; what is no number is none of theirs. */
function positive(text: string | undefined): number | undefined {
  const value = text === undefined || !/^[0-9]{1,15}$/.test(text) ? 0 : Number(text);
  return value > 0 ? value : undefined;
}
