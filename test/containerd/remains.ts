import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { SHIM_ROOT } from "../../runtime/shim/places.ts";
import type { Engine } from "./engine.ts";

/** One line for each thing that pods of this containerd have left on the host. */
export function remains(engine: Engine): string[] {
  const states = entries(SHIM_ROOT).filter((name) => text(`${SHIM_ROOT}/${name}/state.json`).includes(engine.folder));
  return [
    ...states.map((name) => `state ${name}`),
    ...processes(engine.folder),
    ...engine.mounts().map((path) => `mount ${path}`),
    ...entries("/run/netns")
      .filter((name) => engine.networkNamespaces.has(name))
      .map((name) => `network namespace ${name}`),
    ...cgroups(),
  ];
}

/** Those that nobody is in any more, of whichever containerd: their names do not say. */
function cgroups(): string[] {
  const root = "/sys/fs/cgroup";
  return [root, ...entries(root).map((name) => join(root, name))]
    .flatMap((hierarchy) => ["default", "k8s.io"].map((parent) => join(hierarchy, parent)))
    .flatMap((parent) => entries(parent).map((name) => join(parent, name)))
    .filter((path) => existsSync(join(path, "cgroup.procs")) && text(join(path, "cgroup.procs")) === "")
    .map((path) => `cgroup ${path}`);
}

/** Daemons name their containerd's socket; QEMU and loggers are their children, or were. */
function processes(folder: string): string[] {
  return entries("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const command = text(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();
      const ours = command.includes(folder) && !command.startsWith("containerd ") && !command.startsWith("ctr ");
      return ours ? [`process ${pid}: ${command.slice(0, 160)}`] : [];
    });
}

/** The pids of QEMU below a pod's daemon. */
export function qemuOf(daemon: number): number[] {
  return entries("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => text(`/proc/${pid}/cmdline`).includes("qemu-system"))
    .filter((pid) => Number(/^PPid:\s*(\d+)/m.exec(text(`/proc/${pid}/status`))?.[1]) === daemon);
}

function text(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function entries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
