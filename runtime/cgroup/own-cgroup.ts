import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { join } from "node:path";
import { flock, constants as posix } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type { Resources } from "../../protocol/oci.ts";
import type { CgroupFolder } from "../state/record.ts";
import { type CgroupMount, cgroupMounts, leaveCgroups, makeFolder, removeWithin } from "./cgroup.ts";
import { inodeOf, move, processesBelow, processesIn } from "./folder.ts";
import { freezes } from "./freezer.ts";
import { limitOnHost } from "./host-limits.ts";
import { endProcesses, removeFolders } from "./remove.ts";
import { isSystemdsOwn, joinScope } from "./systemd.ts";

/** How often somebody may remove the cgroup between our making and our locking it. */
const TRIES = 5;

interface Folder {
  mount: CgroupMount;
  path: string;
  /** Whether it was not there before. */
  made: boolean;
}

/**
 * The cgroup of one sandbox in every hierarchy of the host: one that was not there, or that was empty. Whoever has it holds a
 * lock (flock(2)) on its first folder, so that two sandboxes, of whatever root, never share one, and clean-up sees whether
 * it is somebody else's by now.
 */
export class OwnCgroup {
  readonly path: string;
  readonly #mounts: readonly CgroupMount[];
  readonly #folders: readonly Folder[];
  #lock: number | undefined;

  private constructor(path: string, mounts: readonly CgroupMount[]) {
    this.path = path;
    this.#mounts = mounts;
    this.#folders = mounts.map((mount) => {
      const folder = join(mount.directory, path);
      return { mount, path: folder, made: inodeOf(folder) === undefined };
    });
  }

  /**
   * Makes the cgroup, or takes the one that is there.
   * @param save called with what must be on record before anything is made, and with what is ours once it is.
   * @throws CaissonError CAISSON_E_CGROUP when it cannot be made, or is another's: it has processes, which would be ended with
   *   ours, or is frozen, as whatever joins it would be. What `save` throws. Nothing is changed then.
   */
  static claim(
    path: string,
    save: (folders: readonly CgroupFolder[]) => void,
    mounts: readonly CgroupMount[] = cgroupMounts(),
  ): OwnCgroup {
    const cgroup = new OwnCgroup(path, mounts);
    cgroup.#requireFree();
    save(cgroup.#folders.filter(({ made }) => made).map((folder) => ({ path: folder.path, made: true })));
    try {
      cgroup.#make();
      cgroup.#requireFree();
      save(cgroup.#folders.map((folder) => ({ path: folder.path, inode: inodeOf(folder.path), made: folder.made })));
      return cgroup;
    } catch (error) {
      cgroup.#takeBack();
      throw error;
    }
  }

  /**
   * Moves this process into it; children started once it resolves begin there. The first move of a while waits in the kernel
   * for all CPUs (RCU), 7 to 20 ms on cgroup v1 as on v2: the caller goes on meanwhile.
   * @throws CaissonError CAISSON_E_CGROUP when it cannot.
   */
  async join(): Promise<void> {
    for (const { path } of this.#folders) {
      try {
        await move(process.pid, path);
      } catch (cause) {
        throw new CaissonError("CAISSON_E_CGROUP", `the sandbox cannot join the host's cgroup ${path}`, { cause });
      }
    }
  }

  /** Moves processes into it, while the caller goes on. One that cannot be moved has ended. */
  async adopt(pids: readonly number[]): Promise<void> {
    for (const { path } of this.#folders) for (const pid of pids) await move(pid, path).catch(() => {});
  }

  /** Sets those limits that the host carries out; what is not named stays. Throws as limitOnHost() does. */
  limit(resources: Resources): void {
    limitOnHost(this.#folders, resources);
  }

  /** The processes in it, by any hierarchy. */
  processes(): number[] {
    return [...new Set(this.#folders.flatMap(({ path }) => processesIn(path)))];
  }

  /** Moves this process out of it. */
  leave(): void {
    leaveCgroups(this.#mounts);
  }

  /** Removes it with the empty cgroups below it. @returns false when some of it is still in use. */
  remove(): boolean {
    return removeFolders(
      this.#folders.map(({ path }) => path),
      this.#mounts,
    );
  }

  /** Removes it as soon as nothing is in it, once this process has left it; gives up after so long. May be called again. */
  async end(limitMs: number): Promise<void> {
    await removeWithin(this, limitMs);
    this.#unlock();
  }

  /** Removes it if it is empty; else whoever removes the container does. For a process that has left it. May be called again. */
  giveUp(): void {
    this.remove();
    this.#unlock();
  }

  /** After a failure: ends what was started in it, and removes what claim() has made. Gives up after so long. */
  async discard(limitMs: number): Promise<void> {
    this.leave();
    const remove = () => {
      const left = this.processes().filter((pid) => pid !== process.pid);
      endProcesses(left);
      return this.#removeMade() && left.length === 0;
    };
    await removeWithin({ remove }, limitMs);
    this.#unlock();
  }

  #requireFree(): void {
    for (const { mount, path } of this.#folders) {
      if (freezes(mount, path)) throw this.#refused(`is frozen (${path}), and so would the container be`);
      const other = processesBelow(path).find((pid) => pid !== process.pid);
      if (other !== undefined) throw this.#refused(`has processes already (pid ${other} in ${path})`);
    }
  }

  #make(): void {
    // systemd would take away a scope that it did not make itself.
    if (isSystemdsOwn(this.path)) joinScope(this.path);
    const [first, ...others] = this.#folders;
    if (first === undefined) return;
    for (let tries = 1; this.#lock === undefined; tries++) {
      first.made = makeFolder(first.mount, first.path) || first.made;
      this.#lock = this.#tryLock(first.path, tries);
    }
    for (const folder of others) folder.made = makeFolder(folder.mount, folder.path) || folder.made;
  }

  /** Undefined when the cgroup was removed meanwhile, by whoever cleaned up after its former owner. */
  #tryLock(path: string, tries: number): number | undefined {
    let fd: number | undefined;
    try {
      fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
      if (!flock(fd, posix.LOCK_EX | posix.LOCK_NB)) throw this.#refused("is another sandbox's");
      if (fstatSync(fd, { bigint: true }).ino.toString() === inodeOf(path)) return fd;
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      if (error instanceof CaissonError || tries >= TRIES) throw error;
      return undefined;
    }
    closeSync(fd);
    if (tries >= TRIES) throw this.#refused("is being removed");
    return undefined;
  }

  /** What systemd has made is its own to remove. */
  #takeBack(): void {
    if (isSystemdsOwn(this.path)) this.leave();
    if (this.#lock !== undefined) this.#removeMade();
    this.#unlock();
  }

  #removeMade(): boolean {
    const made = this.#folders.filter((folder) => folder.made).map(({ path }) => path);
    return removeFolders(made, this.#mounts);
  }

  #unlock(): void {
    if (this.#lock !== undefined) closeSync(this.#lock);
    this.#lock = undefined;
  }

  #refused(why: string): CaissonError {
    return new CaissonError("CAISSON_E_CGROUP", `the cgroup ${this.path} cannot be used: it ${why}`, {
      field: "linux.cgroupsPath",
      remedy: "Give each container a cgroup of its own.",
    });
  }
}
