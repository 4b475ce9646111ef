/** A container's resources in the guest's own terms: its CPUs and memory nodes have other numbers than the host's. */
import type { Process, Resources } from "../../protocol/oci.ts";
import { parseCpuList } from "./checks/cpu-list.ts";

/**
 * The resources with a cpuset that exists in a guest of `vcpus` CPUs and one memory node. A list of CPUs that the guest has
 * stays; another becomes as many of the guest's first ones. Which of the host's CPUs run the guest is the host's cgroup's
 * affair.
 */
export function guestResources(resources: Resources, vcpus: number): Resources {
  if (resources.cpu === undefined) return resources;
  const { cpus = "", mems = "", ...cpu } = resources.cpu;
  return {
    ...resources,
    cpu: {
      ...cpu,
      ...(cpus !== "" && { cpus: guestCpus(cpus, vcpus) }),
      ...(mems !== "" && { mems: "0" }),
    },
  };
}

/** The process with an execCPUAffinity of CPUs that the guest has, by the same rule. */
export function guestProcess(process: Process, vcpus: number): Process {
  if (process.execCPUAffinity === undefined) return process;
  const { initial = "", final = "" } = process.execCPUAffinity;
  return {
    ...process,
    execCPUAffinity: { initial: guestCpus(initial, vcpus), final: guestCpus(final, vcpus) },
  };
}

function guestCpus(cpus: string, vcpus: number): string {
  const list = parseCpuList(cpus) ?? [];
  return (list.at(-1) ?? 0) < vcpus ? cpus : firstCpus(Math.min(list.length, vcpus));
}

function firstCpus(count: number): string {
  return count === 1 ? "0" : `0-${count - 1}`;
}
