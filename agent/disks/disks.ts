/** The block devices of the sandbox's containers. */
import { mkdirSync, rmdirSync } from "node:fs";
import { constants, open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { mount, constants as posix, umount } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type { Disk, DiskMount } from "../../protocol/generated/agent.ts";
import { log } from "../log.ts";
import type { DiskNumbers } from "./numbers.ts";
import { addDisk, type GuestDisk, removeDisk } from "./scsi-bus.ts";

/** The processes that had a file system mounted have ended, but the kernel lets go of it a moment later. */
const LET_GO_WITHIN_MS = 10_000;
const POLL_MS = 5;

/** How many containers have each of the disks, by their targets. */
export class Disks {
  readonly #users = new Map<number, number>();

  /** Gives a container its disks, with the file systems on them mounted. @throws CaissonError CAISSON_E_STORAGE; nothing is left then. */
  async attach(disks: readonly Disk[], mounts: readonly DiskMount[]): Promise<ContainerDisks> {
    const attached = new ContainerDisks(this);
    try {
      for (const disk of disks) await attached.add(disk);
      for (const each of mounts) attached.mount(each);
      return attached;
    } catch (error) {
      await attached.settle();
      attached.remove();
      throw error;
    }
  }

  async use(target: number): Promise<GuestDisk> {
    this.#users.set(target, (this.#users.get(target) ?? 0) + 1);
    return await addDisk(target);
  }

  release(target: number): void {
    const users = (this.#users.get(target) ?? 1) - 1;
    this.#users.set(target, users);
    if (users > 0) return;
    this.#users.delete(target);
    removeDisk(target);
  }
}

/** What one container has of them. */
export class ContainerDisks {
  readonly #all: Disks;
  readonly #disks = new Map<number, GuestDisk>();
  readonly #targets: number[] = [];
  readonly #numbers: DiskNumbers[] = [];
  readonly #mounted: string[] = [];

  constructor(all: Disks) {
    this.#all = all;
  }

  get numbers(): readonly DiskNumbers[] {
    return this.#numbers;
  }

  async add({ target, major, minor }: Disk): Promise<void> {
    this.#targets.push(target);
    const disk = await this.#all.use(target);
    this.#disks.set(target, disk);
    this.#numbers.push({ major, minor, guest: { major: disk.major, minor: disk.minor } });
  }

  mount({ target, devices, type, flags, data, path, field }: DiskMount): void {
    const source = this.#disks.get(target)?.node ?? "";
    const further = devices.map((each) => `device=${this.#disks.get(each)?.node}`);
    const options = [data, ...further].filter((option) => option !== "").join(",");
    try {
      mkdirSync(path, { recursive: true, mode: 0o711 });
      mount(source, path, type, Number(flags), options === "" ? null : options);
      this.#mounted.push(path);
    } catch (cause) {
      const what = `${field}: the guest cannot mount its disk as ${type}: ${(cause as Error).message}`;
      throw new CaissonError("CAISSON_E_STORAGE", what, { cause, field });
    }
  }

  /**
   * Unmounts the file systems, and resolves when all that was written has reached the host. To be called when no process of the
   * container is left. What could not be written is told in the log.
   */
  async settle(): Promise<void> {
    for (const path of this.#mounted.splice(0).reverse()) {
      try {
        umount(path, posix.MNT_DETACH | posix.UMOUNT_NOFOLLOW);
        rmdirSync(path);
      } catch {
        // A directory of the host's stays.
      }
    }
    for (const { node } of this.#disks.values()) await flush(node);
  }

  /** Lets the guest's kernel forget those that no other container has. May be called again. */
  remove(): void {
    for (const target of this.#targets.splice(0)) this.#all.release(target);
    this.#disks.clear();
  }
}

/** A disk with a mounted file system cannot be opened exclusively (open(2), O_EXCL). */
async function flush(node: string): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    const patient = waitedMs < LET_GO_WITHIN_MS;
    try {
      const file = await open(node, constants.O_RDONLY | (patient ? constants.O_EXCL : 0));
      try {
        await file.sync();
      } finally {
        await file.close();
      }
      if (!patient) log("warning", `${node} is still mounted somewhere: what is on it may need a check`);
      return;
    } catch (error) {
      if (patient && (error as NodeJS.ErrnoException).code === "EBUSY") {
        await sleep(POLL_MS);
        continue;
      }
      log("error", `what was written to ${node} has not reached the host's disk: ${(error as Error).message}`);
      return;
    }
  }
}
