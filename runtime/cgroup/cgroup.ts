import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, posix } from "node:path";
import { CaissonError } from "../../protocol/errors.ts";
import { now } from "../process/clock.ts";
import { delay } from "../process/delay.ts";
import { readOptional, removeEmpty } from "./folder.ts";
import { isSystemdForm, scopePath } from "./systemd.ts";

const REMOVE_POLL_MS = 5;

/** Where the host's cgroup hierarchies are mounted: one of v2, or several of v1, or both (hybrid). */
export interface CgroupMount {
  /** "v2", or the v1 controllers' names as mounted, e.g. "cpu,cpuacct". */
  kind: "v2" | string;
  directory: string;
}

/** The cgroup hierarchies in a mountinfo text (proc(5)), this process's unless given, v2 first. */
export function cgroupMounts(mountinfo = readFileSync("/proc/self/mountinfo", "utf8")): CgroupMount[] {
  const mounts: CgroupMount[] = [];
  for (const line of mountinfo.split("\n")) {
    const [before, after] = line.split(" - ");
    const directory = before?.split(" ")[4];
    const [type, , options] = after?.split(" ") ?? [];
    if (directory === undefined || options === undefined) continue;
    if (type === "cgroup2") mounts.unshift({ kind: "v2", directory });
    if (type === "cgroup") mounts.push({ kind: posix.basename(directory), directory });
  }
  return mounts;
}

/**
 * The sandbox's cgroup path on the host below every hierarchy's root: `linux.cgroupsPath`, in systemd's form or not, or
 * `/caisson/<id>`. It only accounts for the daemon and QEMU; the container's limits are kept by cgroups inside the VM.
 * @param systemd whether the engine said that systemd looks after cgroups: then only its form will do.
 * @throws CaissonError CAISSON_E_CONFIG_INVALID for what names no cgroup of its own.
 */
export function hostCgroupPath(id: string, cgroupsPath = "", systemd = false): string {
  if (systemd || isSystemdForm(cgroupsPath)) return scopePath(cgroupsPath === "" ? `:caisson:${id}` : cgroupsPath);
  if (cgroupsPath === "") return `/caisson/${id}`;
  const path = posix.join("/", cgroupsPath);
  if (path === "/") {
    throw new CaissonError(
      "CAISSON_E_CONFIG_INVALID",
      `linux.cgroupsPath: "${cgroupsPath}" is the root of all cgroups`,
      {
        field: "linux.cgroupsPath",
        remedy: "Name a cgroup for this container, or leave it out.",
      },
    );
  }
  return path;
}

/** A cgroup that several sandboxes use, in every hierarchy that will have it; one of a sandbox alone is an OwnCgroup. */
export class SharedCgroup {
  readonly #folders: readonly string[];
  readonly #mounts: readonly CgroupMount[];

  constructor(path: string, mounts = cgroupMounts()) {
    this.#mounts = mounts;
    this.#folders = mounts.map(({ directory }) => join(directory, path));
  }

  /** Creates the cgroup, if it is not there. @throws CaissonError CAISSON_E_CGROUP when it cannot. */
  make(): void {
    for (const [index, folder] of this.#folders.entries()) makeFolder(this.#mounts[index] as CgroupMount, folder);
  }

  /** Moves processes into the cgroup. One that cannot be moved has ended, or the cgroup is not there any more. */
  adopt(pids: readonly number[]): void {
    adopt(pids, this.#folders);
  }

  /** Removes it if it is empty. @returns false when some of it is still in use. */
  remove(): boolean {
    return this.#folders.map(removeEmpty).every((gone) => gone);
  }
}

/** Moves processes into a cgroup's folders. One that cannot be moved stays where it is. */
export function adopt(pids: readonly number[], folders: readonly string[]): void {
  for (const folder of folders) {
    for (const pid of pids) {
      try {
        writeFileSync(join(folder, "cgroup.procs"), String(pid));
      } catch {
        // The process has ended, or the cgroup is not there any more.
      }
    }
  }
}

/** Moves a process, this one by default, to each hierarchy's root, so that the cgroup that it is in can be removed. */
export function leaveCgroups(mounts: readonly CgroupMount[] = cgroupMounts(), pid = process.pid): void {
  adopt(
    [pid],
    mounts.map(({ directory }) => directory),
  );
}

/**
 * Makes a cgroup's folder in one hierarchy, with those above it, and lets it take processes.
 * @returns whether it was not there. @throws CaissonError CAISSON_E_CGROUP when it cannot be made.
 */
export function makeFolder({ kind, directory }: CgroupMount, folder: string): boolean {
  try {
    const made = mkdirSync(folder, { recursive: true }) !== undefined;
    // A new v1 cpuset has no CPUs and no memory nodes, and takes no process before it has (cpuset(7)).
    if (kind.split(",").includes("cpuset")) inheritCpuset(directory, folder.slice(directory.length));
    return made;
  } catch (cause) {
    throw new CaissonError("CAISSON_E_CGROUP", `the host's cgroup ${folder} cannot be made`, { cause });
  }
}

/** Removes a cgroup as soon as nothing is in it: ended processes may still be on their way out. Gives up after so long. */
export async function removeWithin(cgroup: { remove(): boolean }, limitMs: number): Promise<void> {
  const end = now() + limitMs;
  while (!cgroup.remove() && now() < end) await delay(REMOVE_POLL_MS);
}

function inheritCpuset(root: string, path: string): void {
  let parent = root;
  for (const part of path.split("/").filter((name) => name !== "")) {
    const own = join(parent, part);
    for (const name of ["cpuset.cpus", "cpuset.mems"]) {
      if (readOptional(join(own, name)).trim() === "")
        writeFileSync(join(own, name), readOptional(join(parent, name)).trim());
    }
    parent = own;
  }
}
