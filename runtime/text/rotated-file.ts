import { closeSync, fstatSync, openSync, renameSync, rmSync, writeSync } from "node:fs";

/** What follows a file's name for the part before it. */
const FORMER = ".1";

/**
 * A log that others fill, of bounded size: when the file has half of it, it becomes the former one, whose place it takes, and a
 * new one begins. A file that cannot be written costs what was to be logged.
 */
export class RotatedFile {
  readonly #path: string;
  readonly #half: number;
  #fd: number;
  #bytes: number;

  /**
   * @param limitBytes of both files together.
   * @param anew drops what there is; else what comes is added to it.
   * @throws the system's error when it cannot be opened.
   */
  constructor(path: string, limitBytes: number, { anew }: { anew: boolean }) {
    this.#path = path;
    this.#half = Math.floor(limitBytes / 2);
    this.#fd = openSync(path, anew ? "w" : "a", 0o600);
    if (anew) rmSync(formerPath(path), { force: true });
    this.#bytes = fstatSync(this.#fd).size;
  }

  /** Adds to the end; of what is longer than a file its end is kept. */
  append(given: Uint8Array): void {
    if (this.#fd < 0) return;
    const bytes = given.subarray(-this.#half);
    try {
      if (this.#bytes + bytes.length > this.#half) this.#rotate();
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
      this.#bytes += bytes.length;
    } catch {
      // A full disk costs the log, not what is logged.
    }
  }

  /** May be called again. */
  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  #rotate(): void {
    renameSync(this.#path, formerPath(this.#path));
    const fd = openSync(this.#path, "w", 0o600);
    closeSync(this.#fd);
    this.#fd = fd;
    this.#bytes = 0;
  }
}

/** Where the part of a log is that was written before it was last rotated. */
export function formerPath(path: string): string {
  return `${path}${FORMER}`;
}
