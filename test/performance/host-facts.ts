import { execFileSync } from "node:child_process";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import { join } from "node:path";
import type { VmSpec } from "../../runtime/vm/spec.ts";

const GIB = 1024 ** 3;
const TOP = join(import.meta.dirname, "../..");
/** The load of each processor: more than this, and others than the bench had work to do. */
const QUIET_LOAD = 0.25;

/** The names of the runtimes that work here, each with what is different about how it is called. */
export type RivalNotes = Readonly<Record<string, string>>;

/** What the figures depend on. */
export interface HostFacts {
  date: string;
  commit: string;
  processor: string;
  processors: number;
  memoryGib: number;
  kernel: string;
  qemu: string;
  accelerator: string;
  machine: string;
  transport: string;
  guestMemoryMib: number;
  guestProcessors: number;
  /** The versions of the runtimes that Caisson is compared with, and how they are called if not plainly. */
  rivals: string[];
  node: string;
  /** The load of the last minute before the first measurement. */
  load: number;
  quiet: boolean;
}

/** @param load as `loadavg` had it before the bench loaded the machine itself. */
export function hostFacts(vm: VmSpec, load: number, rivals: RivalNotes): HostFacts {
  return {
    date: new Date().toISOString(),
    commit: firstLine("git", "-C", TOP, "describe", "--always", "--dirty", "--exclude=*"),
    processor: cpus()[0]?.model ?? "unknown",
    processors: availableParallelism(),
    memoryGib: Math.round(totalmem() / GIB),
    kernel: release(),
    qemu: vm.qemu.version.join("."),
    accelerator: vm.accelerator,
    machine: vm.machine,
    transport: vm.transport,
    guestMemoryMib: vm.memoryMib,
    guestProcessors: vm.vcpus,
    rivals: Object.entries(rivals).map(([name, note]) => `${firstLine(name, "--version")}${note}`),
    node: process.version,
    load,
    quiet: load <= QUIET_LOAD * availableParallelism(),
  };
}

/** The load average of the last minute. */
export function currentLoad(): number {
  return loadavg()[0] ?? 0;
}

function firstLine(file: string, ...args: string[]): string {
  try {
    return execFileSync(file, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).split("\n")[0] ?? "";
  } catch {
    // A tree without git, for one.
    return "unknown";
  }
}
