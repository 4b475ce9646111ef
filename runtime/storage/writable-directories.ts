import { closeSync, mkdirSync, openSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { isByteShared, shareByte } from "../../native/posix/index.ts";
import { sha256 } from "../text/digest.ts";

/** The folder of the whole host: sandboxes of different engines may share a directory. */
const FOLDER = "/run/caisson-vm";
const FILE = "writable-directories";

/** `it` is for a directory that can be written to, `above` for each one that such a directory is in. */
type Kind = "it" | "above";

export interface WritableDirectory {
  /** Whether another process has it, one above it or one below it. */
  isShared: boolean;
  /** May be called again. */
  release(): void;
}

/**
 * The host's directories that this process's VM may write to, for other sandboxes to know: no VM sees the locks of another one.
 * A byte of a file stands for each, by a hash of its inode, and is held (fcntl(2), "Open file description locks"): it is let go
 * with this process, whatever ends it.
 */
export class WritableDirectories {
  readonly #file: number;
  readonly #held = new Map<number, number>();

  /** @throws the system's error when the file cannot be used. */
  constructor(folder = FOLDER) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#file = openSync(`${folder}/${FILE}`, "a+", 0o600);
  }

  /**
   * Adds a directory.
   * @param path absolute, without symbolic links.
   */
  add(path: string): WritableDirectory {
    const above = foldersAbove(path);
    const marks = [byteOf(path, "it"), ...above.map((each) => byteOf(each, "above"))];
    const others = [byteOf(path, "it"), byteOf(path, "above"), ...above.map((each) => byteOf(each, "it"))];
    for (const mark of marks) this.#count(mark, 1);
    const release = () => {
      for (const mark of marks.splice(0)) this.#count(mark, -1);
    };
    return { isShared: others.some((byte) => isByteShared(this.#file, byte)), release };
  }

  close(): void {
    closeSync(this.#file);
  }

  #count(mark: number, change: 1 | -1): void {
    const before = this.#held.get(mark) ?? 0;
    this.#held.set(mark, before + change);
    if (before === 0 || before + change === 0) shareByte(this.#file, mark, change === 1);
  }
}

function foldersAbove(path: string): string[] {
  const above = dirname(path);
  return above === path ? [] : [above, ...foldersAbove(above)];
}

/** Which byte stands for it. */
function byteOf(path: string, kind: Kind): number {
  const { dev, ino } = statSync(path, { bigint: true });
  return sha256(`${kind} ${dev} ${ino}`).readUInt32LE();
}
