import { closeSync, constants, mkdirSync, openSync } from "node:fs";
import { mount, constants as posix, syncfs, umount } from "../native/posix/index.ts";
import { CaissonError } from "../protocol/errors.ts";
import type { Share } from "../protocol/generated/agent.ts";

/** A mount of the directory that the host shares with this guest. */
export class MountedShare {
  readonly path: string;
  /** Its root, open for syncfs(2). */
  #root: number | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /** Does nothing when it is mounted. Throws CAISSON_E_CONFIG_UNSUPPORTED for its type, CAISSON_E_STORAGE. */
  mount({ type, tag, options }: Share): void {
    if (this.#root !== undefined) return;
    if (type !== "9p" && type !== "virtiofs") {
      throw new CaissonError(
        "CAISSON_E_CONFIG_UNSUPPORTED",
        `The share cannot be of the type ${JSON.stringify(type)}.`,
      );
    }
    try {
      mkdirSync(this.path, { recursive: true, mode: 0o711 });
      mount(tag, this.path, type, posix.MS_NODEV, options === "" ? null : options);
      this.#root = openSync(this.path, constants.O_RDONLY | constants.O_DIRECTORY);
    } catch (cause) {
      throw new CaissonError(
        "CAISSON_E_STORAGE",
        `The share ${JSON.stringify(tag)} could not be mounted as ${type} with ${JSON.stringify(options)}: ${(cause as Error).message}`,
        { cause },
      );
    }
  }

  /** Brings everything written below it to the host. Throws CAISSON_E_STORAGE. */
  sync(): void {
    if (this.#root === undefined) return;
    try {
      syncfs(this.#root);
    } catch (cause) {
      throw new CaissonError("CAISSON_E_STORAGE", `The share could not be written back: ${(cause as Error).message}`, {
        cause,
      });
    }
  }

  unmount(): void {
    if (this.#root === undefined) return;
    this.sync();
    closeSync(this.#root);
    this.#root = undefined;
    umount(this.path, posix.MNT_DETACH);
  }
}
