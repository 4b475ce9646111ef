import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmdirSync, write, writeFileSync } from "node:fs";
import { join, posix } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CaissonError } from "../../protocol/errors.ts";
import { now } from "../trace.ts";
import { isSystemdForm, isSystemdsOwn, joinScope, scopePath } from "./systemd.ts";

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

/** A cgroup of the host in every hierarchy that will have it. */
export class HostCgroup {
  readonly path: string;
  readonly #mounts: CgroupMount[];

  constructor(path: string, mounts = cgroupMounts()) {
    this.path = path;
    this.#mounts = mounts;
  }

  /**
   * Creates the cgroup and moves this process into it; children started once it resolves begin there. The first move of
   * a while waits in the kernel for all CPUs (RCU), 7 to 20 ms on cgroup v1 as on v2: the caller goes on meanwhile.
   * @throws CaissonError CAISSON_E_CGROUP when it cannot, or when the cgroup is another's already: its processes would
   *   be ended with ours.
   */
  async join(): Promise<void> {
    const [other] = this.processes();
    if (other !== undefined) {
      throw new CaissonError("CAISSON_E_CGROUP", `the cgroup ${this.path} has processes already (pid ${other})`, {
        field: "linux.cgroupsPath",
        remedy: "Give each container a cgroup of its own.",
      });
    }
    // It would take a scope that it did not make itself away again.
    if (isSystemdsOwn(this.path)) joinScope(this.path);
    this.make();
    for (const { directory } of this.#mounts) {
      const own = join(directory, this.path);
      try {
        await move(process.pid, own);
      } catch (cause) {
        throw new CaissonError("CAISSON_E_CGROUP", `the sandbox cannot join the host's cgroup ${own}`, { cause });
      }
    }
  }

  /** Creates the cgroup, if it is not there. @throws CaissonError CAISSON_E_CGROUP when it cannot. */
  make(): void {
    for (const { kind, directory } of this.#mounts) {
      const own = join(directory, this.path);
      try {
        mkdirSync(own, { recursive: true });
        // A new v1 cpuset has no CPUs and no memory nodes, and takes no process before it has (cpuset(7)).
        if (kind.split(",").includes("cpuset")) inheritCpuset(directory, this.path);
      } catch (cause) {
        throw new CaissonError("CAISSON_E_CGROUP", `the host's cgroup ${own} cannot be made`, { cause });
      }
    }
  }

  /** Moves processes into the cgroup, which is there. One that cannot be moved has ended, or the cgroup is not there any more. */
  adopt(pids: readonly number[]): void {
    for (const { directory } of this.#mounts) {
      for (const pid of pids) {
        try {
          writeFileSync(join(directory, this.path, "cgroup.procs"), String(pid));
        } catch {
          // It stays where it is.
        }
      }
    }
  }

  /** As adopt(), while the caller goes on. */
  async take(pids: readonly number[]): Promise<void> {
    for (const { directory } of this.#mounts) {
      for (const pid of pids) {
        try {
          await move(pid, join(directory, this.path));
        } catch {
          // It stays where it is.
        }
      }
    }
  }

  /** Moves this process to each hierarchy's root, so that the cgroup can be removed. */
  leave(): void {
    for (const { directory } of this.#mounts) {
      try {
        writeFileSync(join(directory, "cgroup.procs"), String(process.pid));
      } catch {
        // The hierarchy is gone or not ours to write: then we never joined it either.
      }
    }
  }

  /** Kills every process in it, wherever it hides. */
  kill(): void {
    for (const { kind, directory } of this.#mounts) {
      const own = join(directory, this.path);
      if (kind === "v2" && existsSync(join(own, "cgroup.kill"))) writeFileSync(join(own, "cgroup.kill"), "1");
    }
    for (const pid of this.processes()) kill(pid);
  }

  /** The processes in it, by any hierarchy. */
  processes(): number[] {
    const pids = new Set<number>();
    for (const { directory } of this.#mounts) {
      const text = readOptional(join(directory, this.path, "cgroup.procs"));
      for (const line of text.split("\n")) if (line !== "") pids.add(Number(line));
    }
    return [...pids];
  }

  /** Removes it, and the `/caisson` above it when that is empty. @returns false when some of it is still in use. */
  remove(): boolean {
    let gone = true;
    for (const { directory } of this.#mounts) {
      if (!removeEmpty(join(directory, this.path))) gone = false;
      if (posix.dirname(this.path) === "/caisson") removeEmpty(join(directory, "caisson"));
    }
    return gone;
  }
}

/** Removes it as soon as nothing is in it: ended processes may still be on their way out. Gives up after so long. */
export async function removeWithin(cgroup: HostCgroup, limitMs: number): Promise<void> {
  const end = now() + limitMs;
  while (!cgroup.remove() && now() < end) await delay(REMOVE_POLL_MS);
}

/**
 * Lets a process go on that a freezer of cgroup v1 holds, its own or another's: it would not even die. One of v2 lets it
 * die, and is left alone.
 */
export function thaw(pid: number, mounts = cgroupMounts()): void {
  const freezer = mounts.find(({ kind }) => kind.split(",").includes("freezer"));
  const path = /^\d+:(?:[^:]*,)?freezer(?:,[^:]*)?:(.*)$/m.exec(readOptional(`/proc/${pid}/cgroup`))?.[1];
  if (freezer === undefined || path === undefined) return;
  const file = join(freezer.directory, path, "freezer.state");
  if (!/^FR/.test(readOptional(file))) return;
  try {
    writeFileSync(file, "THAWED");
  } catch {
    // Its cgroup has gone, and so has it; or it is not ours to let go, and will not die.
  }
}

function move(pid: number, cgroup: string): Promise<void> {
  const fd = openSync(join(cgroup, "cgroup.procs"), "w");
  return new Promise((resolve, reject) => {
    write(fd, String(pid), (error) => {
      closeSync(fd);
      if (error === null) resolve();
      else reject(error);
    });
  });
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

function readOptional(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function removeEmpty(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone.
  }
}
