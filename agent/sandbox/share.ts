import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { mount, constants as posix, umount } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type { Share } from "../../protocol/generated/agent.ts";
import { SLOT_DRIVER, slotDevice } from "./slots.ts";

/** A device that the kernel finds by itself is there a moment after the guest runs. */
const APPEARS_WITHIN_MS = 10_000;
const POLL_MS = 5;
const FORGET_AGAIN_MS = 1000;
/** Each request costs as much as 100 KiB of data do: by default the kernel asks for 128 KiB at a time. */
const READ_AHEAD_KIB = 512;

/** The directory that the host shares with this guest (virtio-fs). */
export class MountedShare {
  readonly path: string;
  #mounted = false;
  /** Slots' devices by their addresses: a template has found them out for its clones. */
  readonly #devices = new Map<bigint, string>();
  /** The one that is bound. */
  #bound: string | undefined;
  #forgetsAgain: NodeJS.Timeout | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /** Does nothing when it is mounted. Throws CAISSON_E_STORAGE. */
  async mount({ tag, slotAddress }: Share): Promise<void> {
    if (this.#mounted) return;
    try {
      if (slotAddress !== 0n) this.#bind(slotAddress);
      mkdirSync(this.path, { recursive: true, mode: 0o711 });
      for (let waitedMs = 0; !this.#mounted; waitedMs += POLL_MS) {
        try {
          // Devices on it are the guest's own; who may open which, the containers' cgroups say.
          mount(tag, this.path, "virtiofs", 0, null);
          this.#mounted = true;
          readAhead(this.path);
        } catch (error) {
          // EINVAL: no device has this tag.
          if ((error as NodeJS.ErrnoException).code !== "EINVAL" || slotAddress !== 0n) throw error;
          if (waitedMs >= APPEARS_WITHIN_MS) throw error;
          await sleep(POLL_MS);
        }
      }
    } catch (cause) {
      throw new CaissonError(
        "CAISSON_E_STORAGE",
        `the share ${JSON.stringify(tag)} could not be mounted: ${(cause as Error).message}`,
        { cause },
      );
    }
  }

  /**
   * Lets go of the host's file systems below it of which nothing is in use: the host keeps descriptors of their files until then.
   * @param used paths of what is.
   */
  release(used: readonly string[]): void {
    if (!this.#mounted) return;
    for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n").reverse()) {
      // proc(5): white space and backslashes are written as octal numbers.
      const path = line
        .split(" ")[4]
        ?.replaceAll(/\\([0-7]{3})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 8)));
      if (path === undefined || !path.startsWith(`${this.path}/`)) continue;
      const isUsed = used.some((each) => `${each}/`.startsWith(`${path}/`) || path.startsWith(`${each}/`));
      if (!isUsed) umount(path, posix.MNT_DETACH);
    }
    // The kernel lets go of an ended container's mounts a moment later.
    this.#forget();
    clearTimeout(this.#forgetsAgain);
    this.#forgetsAgain = setTimeout(() => this.#forget(), FORGET_AGAIN_MS).unref();
  }

  /** Has the kernel forget what nobody uses of the share's own file system, which root file systems are parts of (native/vhost-proxy). */
  #forget(): void {
    // reconfigure_super() in Linux's fs/super.c: the file system's names go, and nothing is written or changed.
    if (this.#mounted) mount(null, this.path, null, posix.MS_REMOUNT, null);
  }

  /** The device may be taken away then. */
  unmount(): void {
    // Or each clone of a template would forget what it has just looked up.
    clearTimeout(this.#forgetsAgain);
    if (this.#mounted) umount(this.path, posix.MNT_DETACH);
    this.#mounted = false;
    if (this.#bound !== undefined) writeFileSync(`${SLOT_DRIVER}/unbind`, this.#bound);
    this.#bound = undefined;
  }

  /** Nothing tells a running kernel that a device has come to a slot of virtio-mmio. */
  #bind(address: bigint): void {
    const device = this.#devices.get(address) ?? slotDevice(address);
    this.#devices.set(address, device);
    // A device that was there when the guest booted has its driver already.
    if (!existsSync(`${SLOT_DRIVER}/${device}`)) writeFileSync(`${SLOT_DRIVER}/bind`, device);
    this.#bound = device;
  }
}

/** Of the file systems that are mounted below it, too. A kernel without the file reads as it likes. */
function readAhead(path: string): void {
  const { dev } = statSync(path, { bigint: true });
  // The file system is on no device: the major number is 0.
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  const file = `/sys/class/bdi/0:${minor}/read_ahead_kb`;
  if (existsSync(file)) writeFileSync(file, String(READ_AHEAD_KIB));
}
