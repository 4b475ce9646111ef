/**
 * The limits that only the host can carry out, on the cgroup of a VM that is a container's own: its weight beside other VMs, and
 * which of the host's CPUs and memory nodes run it. The number of processes is there for a VM that is broken out of. A quota is the guest's: on both sides it would count twice, since a guest
 * takes the time for which the host does not run it for its containers' own.
 */
import { existsSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { weightOfShares } from "../../protocol/cpu-weight.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type { Resources } from "../../protocol/oci.ts";
import { log } from "../text/log.ts";
import type { CgroupMount } from "./cgroup.ts";

interface Setting {
  /** Name of a file; a hierarchy without its controller does not have it. */
  file: string;
  value: string;
  field: string;
}

const FIELD = "linux.resources.cpu";
/** More threads than the daemon, QEMU and virtiofsd have together: they must not be kept from starting one. */
const LEAST_PIDS = 512;

/** What is written into the cgroup's folder in a hierarchy of that kind. */
export function hostSettings(kind: CgroupMount["kind"], { cpu = {}, pids = {} }: Resources): Setting[] {
  const { shares = 0, cpus = "", mems = "" } = cpu;
  const { limit } = pids;
  const settings: Setting[] = [];
  if (Number(shares) !== 0) {
    const [file, value] =
      kind === "v2" ? ["cpu.weight", `${weightOfShares(shares)}`] : ["cpu.shares", shares.toString()];
    settings.push({ file, value, field: `${FIELD}.shares` });
  }
  if (cpus !== "") settings.push({ file: "cpuset.cpus", value: cpus, field: `${FIELD}.cpus` });
  if (mems !== "") settings.push({ file: "cpuset.mems", value: mems, field: `${FIELD}.mems` });
  if (limit !== undefined) {
    const value = limit > 0 ? `${Math.max(Number(limit), LEAST_PIDS)}` : "max";
    settings.push({ file: "pids.max", value, field: "linux.resources.pids.limit" });
  }
  return settings;
}

/** A cgroup's folder in one hierarchy. */
export interface LimitedFolder {
  mount: CgroupMount;
  path: string;
}

/**
 * Sets those limits in a cgroup; what is not named stays. One that no hierarchy has the controller for is told.
 * @throws CaissonError CAISSON_E_CGROUP when the host refuses one, naming the field: it has no such CPU, say.
 */
export function limitOnHost(folders: readonly LimitedFolder[], resources: Resources): void {
  const missing = new Set<string>();
  const set = new Set<string>();
  for (const { mount, path } of folders) {
    for (const setting of hostSettings(mount.kind, resources)) {
      const file = join(path, setting.file);
      if (mount.kind === "v2" && !existsSync(file)) enableController(mount.directory, path, setting.file);
      (existsSync(file) ? set : missing).add(setting.field);
      if (existsSync(file)) write(file, setting);
    }
  }
  for (const field of missing) {
    if (!set.has(field))
      log.warning(`${field} holds in the guest alone: the host's cgroup lacks the controller for it`);
  }
}

function write(path: string, { value, field }: Setting): void {
  try {
    writeFileSync(path, value);
  } catch (cause) {
    throw new CaissonError("CAISSON_E_CGROUP", `${field} could not be set: the host refuses "${value}" in ${path}`, {
      field,
      cause,
    });
  }
}

/** Has the cgroups above one let it have a file's controller (cgroups(7), cgroup.subtree_control), as far as they do. */
function enableController(top: string, folder: string, file: string): void {
  const controller = file.slice(0, file.indexOf("."));
  const names = relative(top, dirname(folder)).split("/");
  let above = top;
  for (const name of ["", ...names]) {
    above = join(above, name);
    try {
      writeFileSync(join(above, "cgroup.subtree_control"), `+${controller}`);
    } catch {
      // The cgroup does not have the controller itself, or has processes, which rules it out.
    }
  }
}
