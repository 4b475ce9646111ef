/**
 * The limits that only the host can carry out, on the cgroup of a VM that is a container's own: its weight beside other VMs, and
 * which of the host's CPUs and memory nodes run it. A quota is the guest's: on both sides it would count twice, since a guest
 * takes the time for which the host does not run it for its containers' own.
 */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { weightOfShares } from "../../../protocol/cpu-weight.ts";
import { CaissonError } from "../../../protocol/errors.ts";
import type { CpuResources, Resources } from "../../../protocol/oci.ts";
import type { CgroupMount } from "./cgroup.ts";

interface Setting {
  /** Name of a file; a hierarchy without its controller does not have it. */
  file: string;
  value: string;
  field: string;
}

const FIELD = "linux.resources.cpu";

/** What is written into the cgroup's folder in a hierarchy of that kind. */
export function hostSettings(kind: CgroupMount["kind"], cpu: CpuResources = {}): Setting[] {
  const { shares = 0, cpus = "", mems = "" } = cpu;
  const settings: Setting[] = [];
  if (Number(shares) !== 0) {
    const [file, value] =
      kind === "v2" ? ["cpu.weight", `${weightOfShares(shares)}`] : ["cpu.shares", shares.toString()];
    settings.push({ file, value, field: `${FIELD}.shares` });
  }
  if (cpus !== "") settings.push({ file: "cpuset.cpus", value: cpus, field: `${FIELD}.cpus` });
  if (mems !== "") settings.push({ file: "cpuset.mems", value: mems, field: `${FIELD}.mems` });
  return settings;
}

/** @throws CaissonError CAISSON_E_CGROUP when the host refuses one, naming the field: it has no such CPU, say. */
export function limitOnHost(folder: string, kind: CgroupMount["kind"], { cpu }: Resources): void {
  for (const { file, value, field } of hostSettings(kind, cpu)) {
    const path = join(folder, file);
    if (!existsSync(path)) continue;
    try {
      writeFileSync(path, value);
    } catch (cause) {
      throw new CaissonError("CAISSON_E_CGROUP", `${field} could not be set: the host refuses "${value}" in ${path}`, {
        field,
        cause,
      });
    }
  }
}
