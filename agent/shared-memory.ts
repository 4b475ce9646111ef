import { mkdirSync } from "node:fs";
import { mount, constants as posix, umount } from "../native/posix/index.ts";
import { CaissonError } from "../protocol/errors.ts";

/** The memory that this sandbox's containers share on /dev/shm: a tmpfs, made for the first of them. */
export class SharedMemory {
  readonly #path: string;
  #mounted = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** Does nothing when it is there. Throws CAISSON_E_STORAGE. */
  provide(bytes: bigint): void {
    if (this.#mounted) return;
    const flags = posix.MS_NOSUID | posix.MS_NODEV | posix.MS_NOEXEC;
    try {
      mkdirSync(this.#path, { recursive: true });
      mount("shm", this.#path, "tmpfs", flags, `mode=1777,size=${bytes}`);
    } catch (cause) {
      const why = (cause as Error).message;
      throw new CaissonError("CAISSON_E_STORAGE", `The sandbox's shared memory could not be made: ${why}`, { cause });
    }
    this.#mounted = true;
  }

  remove(): void {
    if (!this.#mounted) return;
    this.#mounted = false;
    umount(this.#path, posix.MNT_DETACH);
  }
}
