import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { SHIM_ROOT } from "../../runtime/state/paths.ts";
import type { Engine } from "./engine.ts";

const END_LIMIT_MS = 120_000;

/** Waits until nothing is left, and fails with what is when that never comes. */
export async function nothingRemains(engine: Engine): Promise<void> {
  for (const end = performance.now() + END_LIMIT_MS; performance.now() < end; await delay(50)) {
    if (remains(engine).length === 0) return;
  }
  assert.deepEqual(remains(engine), []);
}

/** Lines, one for each thing that pods of this containerd have left on the host. */
export function remains(engine: Engine): string[] {
  const states = entries(SHIM_ROOT).filter((name) => text(`${SHIM_ROOT}/${name}/state.json`).includes(engine.folder));
  return [
    ...states.map((name) => `state ${name}`),
    ...processes(engine.folder),
    ...engine.mounts().map((path) => `mount ${path}`),
    ...entries("/run/netns")
      .filter((name) => engine.networkNamespaces.has(name))
      .map((name) => `network namespace ${name}`),
    ...cgroups(engine),
  ];
}

/** The cgroups that nobody is in any more, of containers that its log names: other containerds have theirs in the same places. */
function cgroups({ log }: Engine): string[] {
  const root = "/sys/fs/cgroup";
  return [root, ...entries(root).map((name) => join(root, name))]
    .flatMap((hierarchy) => ["default", "k8s.io"].map((parent) => join(hierarchy, parent)))
    .flatMap((parent) => entries(parent).map((name) => join(parent, name)))
    .filter((path) => log.includes(basename(path)))
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
      return ours ? [`process ${pid}: ${command}`] : [];
    });
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
