/** A host that systemd runs, with cgroup v2 alone, and its units. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

/** Why there is no such host here. */
export function whyNoSystemd(): string | undefined {
  if (!existsSync("/run/systemd/system")) return "systemd does not run this machine";
  if (!existsSync("/sys/fs/cgroup/cgroup.controllers")) return "this machine has cgroup v1";
  return undefined;
}

/** Whether systemd has the unit, and it is active (systemctl(1)). */
export function isActive(unit: string): boolean {
  return spawnSync("systemctl", ["is-active", "--quiet", unit]).status === 0;
}

/** A property of a unit. */
export function property(unit: string, name: string): string {
  return execFileSync("systemctl", ["show", "--value", "--property", name, unit], { encoding: "utf8" }).trim();
}

/** The cgroup v2 that a process is in, as cgroups(7) writes it: /machine.slice/x.scope. */
export function cgroupOf(pid: number): string {
  return /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, "utf8"))?.[1] ?? "";
}

/** A file of a cgroup. */
export function cgroupFile(path: string, name: string): string {
  return readFileSync(`/sys/fs/cgroup${path}/${name}`, "utf8").trim();
}
