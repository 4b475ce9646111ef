import { mkdirSync, realpathSync, rmdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { constants, umount } from "../../native/posix/index.ts";
import { type BindOptions, bind, setReadOnly } from "./bind.ts";
import { outsideTree } from "./mount-tree.ts";

interface Volume {
  target: string;
  /** Without symbolic links; where whoever named it sees it. */
  source: string;
  recursive: boolean;
  readOnly: boolean;
  /** Container ids. */
  users: Set<string>;
}

/**
 * The host's directories that containers of a sandbox have mounted, each shared once. The guest knows a directory of the 9p
 * share by its inode: if one showed up at two places, the guest would take the first for having moved to the second
 * (d_splice_alias in fs/dcache.c), with that one's read-only flag, and lose it when the second goes.
 */
export class Volumes {
  readonly #directory: string;
  readonly #volumes: Volume[] = [];
  #count = 0;

  /** @param directory where they are mounted, each below a name of its own. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Shares a directory for a container. One that a read-only and a writable mount have in common is kept read-only for the
   * former by the guest alone. Add a directory before those below it.
   * @returns where it is now, absolute. @throws CaissonError CAISSON_E_STORAGE naming the field.
   */
  add(user: string, source: string, options: BindOptions): string {
    const path = realpathSync(source);
    const name = outsideTree(path);
    const volume = this.#find(path, name, options.recursive) ?? this.#make(path, name, options);
    volume.users.add(user);
    if (volume.readOnly && !options.readOnly) {
      setReadOnly(volume.target, false);
      volume.readOnly = false;
    }
    return join(volume.target, relative(volume.source, name));
  }

  /** Unmounts what only this container had mounted. */
  remove(user: string): void {
    for (const volume of [...this.#volumes]) {
      if (!volume.users.delete(user) || volume.users.size > 0) continue;
      this.#volumes.splice(this.#volumes.indexOf(volume), 1);
      umount(volume.target, constants.MNT_DETACH | constants.UMOUNT_NOFOLLOW);
      rmdirSync(volume.target);
    }
  }

  /** The volume that shows the directory: itself, or one above it without another mount between them. */
  #find(path: string, name: string, recursive: boolean): Volume | undefined {
    const wanted = statSync(path, { bigint: true });
    return this.#volumes.find((volume) => {
      if (volume.recursive !== recursive || !(name === volume.source || name.startsWith(join(volume.source, "/")))) {
        return false;
      }
      const shown = statSync(join(volume.target, relative(volume.source, name)), {
        bigint: true,
        throwIfNoEntry: false,
      });
      return shown?.ino === wanted.ino && shown.dev === wanted.dev;
    });
  }

  #make(path: string, source: string, options: BindOptions): Volume {
    const target = join(this.#directory, String(this.#count++));
    mkdirSync(target, { recursive: true });
    try {
      bind(path, target, options);
    } catch (error) {
      rmdirSync(target);
      throw error;
    }
    const { recursive, readOnly } = options;
    const volume: Volume = { target, source, recursive, readOnly, users: new Set() };
    this.#volumes.push(volume);
    return volume;
  }
}
