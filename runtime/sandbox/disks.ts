import { CaissonError } from "../../protocol/errors.ts";
import type { Disk, DiskMount } from "../../protocol/generated/agent.ts";
import { ClaimedDisk } from "../storage/disks/claim.ts";
import type { DiskFileSystem, DiskUse, TakenDisks } from "../storage/disks/take.ts";
import { outsideTree } from "../storage/mount-tree.ts";
import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import { DISK_TARGETS, plugDisk, unplugDisk } from "../vm/disk-device.ts";
import type { Machine } from "../vm/machine.ts";

const UNPLUG_LIMIT_MS = 15_000;

interface Held {
  claim: ClaimedDisk;
  /** On the VM's SCSI bus. */
  target: number;
  /** Containers. */
  users: Set<string>;
  plugged: Promise<void> | undefined;
}

/** The disks that a sandbox's VM has, and which of its containers have them: those that have the same one have it once. */
export class SandboxDisks {
  readonly #vm: Pick<Machine, "qmp" | "machine">;
  readonly #held = new Map<string, Held>();

  constructor(vm: Pick<Machine, "qmp" | "machine">) {
    this.#vm = vm;
  }

  /**
   * Opens a container's disks, so that nobody else has them.
   * @throws CaissonError CAISSON_E_STORAGE that names the field of one that cannot be had; the container has none of them then.
   */
  claim(container: string, { disks }: Pick<TakenDisks, "disks">): void {
    try {
      for (const use of disks) this.#hold(use).users.add(container);
    } catch (error) {
      for (const [key, { users, claim }] of this.#held) {
        if (!users.delete(container) || users.size > 0) continue;
        claim.close();
        this.#held.delete(key);
      }
      throw error;
    }
  }

  /** Gives the VM what was claimed. @returns what the guest is told. @throws CaissonError CAISSON_E_STORAGE. */
  async plug(
    { disks, fileSystems }: Pick<TakenDisks, "disks" | "fileSystems">,
    root: string,
  ): Promise<{ disks: Disk[]; diskMounts: DiskMount[] }> {
    const target = (use: DiskUse): number => this.#held.get(keyOf(use))?.target ?? -1;
    for (const use of disks) {
      const held = this.#held.get(keyOf(use));
      if (held === undefined) continue;
      held.plugged ??= plugDisk(this.#vm, held.target, held.claim);
      try {
        await held.plugged;
      } catch (cause) {
        held.plugged = undefined;
        const what = `${use.field}: QEMU cannot use ${use.name} as a disk`;
        throw new CaissonError("CAISSON_E_STORAGE", what, { cause, field: use.field });
      }
    }
    return {
      disks: disks.map((use) => ({ target: target(use), major: use.major, minor: use.minor })),
      diskMounts: fileSystems.map((each) => toMount(each, target, root)),
    };
  }

  /** Takes what only this container has from the VM, once the guest has let it go. Never rejects. */
  async release(container: string): Promise<void> {
    for (const [key, held] of [...this.#held]) {
      if (!held.users.delete(container) || held.users.size > 0) continue;
      try {
        if (held.plugged !== undefined) await unplugDisk(this.#vm, held.target, AbortSignal.timeout(UNPLUG_LIMIT_MS));
      } catch (error) {
        // QEMU may still write to it: it stays the sandbox's until the VM has ended.
        log.warning(`a disk of container ${container} could not be taken from the VM: ${formatError(error)}`);
        continue;
      }
      held.claim.close();
      this.#held.delete(key);
    }
  }

  /** Lets all of them go; the VM has ended. */
  close(): void {
    for (const { claim } of this.#held.values()) claim.close();
    this.#held.clear();
  }

  #hold(use: DiskUse): Held {
    const key = keyOf(use);
    const known = this.#held.get(key);
    if (known === undefined) {
      const target = this.#freeTarget(use);
      const held = { claim: ClaimedDisk.open(use), target, users: new Set<string>(), plugged: undefined };
      this.#held.set(key, held);
      return held;
    }
    if (known.users.size > 0 && (use.readOnly || !known.claim.readOnly)) return known;
    const why = known.users.size > 0 ? "has it read-only" : "is letting it go";
    const message = `${use.field}: the VM cannot have ${use.name} as a disk: another container of this sandbox ${why}`;
    throw new CaissonError("CAISSON_E_STORAGE", message, { field: use.field });
  }

  #freeTarget({ field }: DiskUse): number {
    const taken = new Set([...this.#held.values()].map(({ target }) => target));
    for (let target = 0; target < DISK_TARGETS; target++) if (!taken.has(target)) return target;
    throw new CaissonError("CAISSON_E_STORAGE", `${field}: a VM can have ${DISK_TARGETS} disks`, { field });
  }
}

function keyOf({ image, path, major, minor }: DiskUse): string {
  return image ? outsideTree(path) : `${major}:${minor}`;
}

function toMount(
  { disk, devices, type, flags, data, path, field }: DiskFileSystem,
  target: (use: DiskUse) => number,
  root: string,
): DiskMount {
  const place = path.startsWith("/") ? path : `${root}/${path}`.replace(/\/$/, "");
  return { target: target(disk), devices: devices.map(target), type, flags: BigInt(flags), data, path: place, field };
}
