import { mkdirSync } from "node:fs";
import { mount, constants as posix, umount } from "../../native/posix/index.ts";
import { CaissonError } from "../../protocol/errors.ts";
import type { Mount } from "../../protocol/oci.ts";

/** The memories that containers of this sandbox have on /dev/shm: a tmpfs each, made for the first container that names it. */
export class SharedMemory {
  readonly #folder: string;
  readonly #mounted = new Set<string>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes those that `mounts` have as sources, if they are not there. Throws CAISSON_E_STORAGE. */
  provide(mounts: readonly Mount[], bytes: bigint): void {
    for (const { source = "" } of mounts) {
      if (source.startsWith(`${this.#folder}/`) && !this.#mounted.has(source)) this.#make(source, bytes);
    }
  }

  remove(): void {
    for (const path of this.#mounted) umount(path, posix.MNT_DETACH);
    this.#mounted.clear();
  }

  #make(path: string, bytes: bigint): void {
    const flags = posix.MS_NOSUID | posix.MS_NODEV | posix.MS_NOEXEC;
    try {
      mkdirSync(path, { recursive: true });
      mount("shm", path, "tmpfs", flags, `mode=1777,size=${bytes}`);
    } catch (cause) {
      const why = (cause as Error).message;
      throw new CaissonError("CAISSON_E_STORAGE", `the sandbox's shared memory could not be made: ${why}`, { cause });
    }
    this.#mounted.add(path);
  }
}
