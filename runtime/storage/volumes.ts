import { mkdirSync, realpathSync, rmdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { constants, umount } from "../../native/posix/index.ts";
import { formatError } from "../text/errors.ts";
import { log } from "../text/log.ts";
import { type BindOptions, bind } from "./bind.ts";
import type { IdMap } from "./id-map.ts";
import { JoinedVolumes, type VolumeAccessLists } from "./joined-volumes.ts";
import { outsideTree } from "./mount-tree.ts";
import { WritableDirectories } from "./writable-directories.ts";

/** native/share.h knows them by this beginning of their names. */
const JOINED = "~joined-";

interface Volume {
  target: string;
  /** Without symbolic links; where whoever named it sees it. */
  source: string;
  recursive: boolean;
  readOnly: boolean;
  idMap: IdMap | undefined;
  /** A part of the share's own file system for the guest. */
  joined: boolean;
  /** Called when it is shared no longer. */
  release: () => void;
  /** Container ids. */
  users: Set<string>;
}

/**
 * The host's directories that containers of a sandbox have mounted. What containers have in common is shared once: two mounts of a directory
 * are two file systems for the guest, which see neither each other's locks nor, for up to a second, each other's changes. Read-only
 * mounts are apart from writable ones all the same, and so are id-mapped ones: what is to be read-only stays so on the host, whatever the guest does.
 */
export class Volumes {
  readonly #directory: string;
  readonly #volumes: Volume[] = [];
  readonly #joined: JoinedVolumes;
  #writable: WritableDirectories | undefined;
  #count = 0;

  /** @param directory where they are mounted, each below a name of its own. */
  constructor(directory: string, accessLists: VolumeAccessLists = "auto") {
    this.#directory = directory;
    this.#joined = new JoinedVolumes(accessLists);
  }

  /**
   * Shares a directory for a container. Add a directory before those below it.
   * @returns where it is now, absolute. @throws CaissonError CAISSON_E_STORAGE naming the field.
   */
  add(user: string, source: string, options: BindOptions): string {
    const path = realpathSync(source);
    const name = outsideTree(path);
    const volume = this.#find(path, name, options) ?? this.#make(path, name, options);
    volume.users.add(user);
    return join(volume.target, relative(volume.source, name));
  }

  /** Unmounts what only this container had mounted. */
  remove(user: string): void {
    for (const volume of [...this.#volumes]) {
      if (!volume.users.delete(user) || volume.users.size > 0) continue;
      this.#volumes.splice(this.#volumes.indexOf(volume), 1);
      if (this.#writable !== undefined) volume.release();
      if (volume.joined) this.#joined.leave();
      umount(volume.target, constants.MNT_DETACH | constants.UMOUNT_NOFOLLOW);
      rmdirSync(volume.target);
    }
  }

  /** Lets other sandboxes know that this one writes to none of them any more. May be called again. */
  close(): void {
    this.#writable?.close();
    this.#writable = undefined;
  }

  /** The volume that shows the directory: itself, or one above it without another mount between them. */
  #find(path: string, name: string, { recursive, readOnly, idMap }: BindOptions): Volume | undefined {
    const wanted = statSync(path, { bigint: true });
    return this.#volumes.find((volume) => {
      if (volume.recursive !== recursive || volume.readOnly !== readOnly) return false;
      if (!isDeepStrictEqual(volume.idMap, idMap)) return false;
      if (!(name === volume.source || name.startsWith(join(volume.source, "/")))) return false;
      const shown = statSync(join(volume.target, relative(volume.source, name)), {
        bigint: true,
        throwIfNoEntry: false,
      });
      return shown?.ino === wanted.ino && shown.dev === wanted.dev;
    });
  }

  #make(path: string, source: string, options: BindOptions): Volume {
    const joined = this.#joined.join(path, options.field);
    const target = join(this.#directory, `${joined ? JOINED : ""}${this.#count++}`);
    mkdirSync(target, { recursive: true });
    try {
      bind(path, target, options);
    } catch (error) {
      if (joined) this.#joined.leave();
      rmdirSync(target);
      throw error;
    }
    const { recursive, readOnly, idMap } = options;
    const release = readOnly ? () => {} : this.#announce(path, source, options.field);
    const volume: Volume = { target, source, recursive, readOnly, idMap, joined, release, users: new Set() };
    this.#volumes.push(volume);
    return volume;
  }

  /** Tells other sandboxes of a directory that this one may write to, and the log when there are others that may. */
  #announce(path: string, name: string, field: string): () => void {
    try {
      this.#writable ??= new WritableDirectories();
      const { isShared, release } = this.#writable.add(path);
      const consequence = "neither sees the other one's locks, nor what it writes before a second has passed";
      if (isShared) log.warning(`${field}: another sandbox may write to ${name}, too: ${consequence}`);
      return release;
    } catch (error) {
      log.debug("it is not known whether another sandbox may write to a directory", {
        name,
        error: formatError(error),
      });
      return () => {};
    }
  }
}
