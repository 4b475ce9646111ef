import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import { withoutControls } from "./guest-logs.ts";

const BUFFER_BYTES = 64 * 1024;
/** A guest may write without ever ending a line. */
const LONGEST_LINE = 8 * 1024;

/** What is added to a rotated log (text/rotated-file.ts) from now on, in whole lines without what could drive a terminal. */
export class FollowedLog implements Disposable {
  readonly #path: string;
  readonly #buffer = Buffer.alloc(BUFFER_BYTES);
  #decoder = new StringDecoder("utf8");
  #fd = -1;
  #at = 0;
  #rest = "";

  constructor(path: string) {
    this.#path = path;
    if (this.#open()) this.#at = fstatSync(this.#fd).size;
  }

  /** Whether the file has been removed, with the state that it was in. */
  get isGone(): boolean {
    return !existsSync(this.#path);
  }

  /** @returns the lines that have come since. */
  read(): string[] {
    if (this.#fd < 0 && !this.#open()) return [];
    this.#readOn();
    // What was added before it was rotated has been read now: the descriptor is the former file's.
    if (this.#isRotated() && this.#open()) {
      this.#at = 0;
      this.#readOn();
    }
    const lines = this.#rest.split("\n");
    this.#rest = lines.pop() ?? "";
    while (this.#rest.length > LONGEST_LINE) {
      lines.push(this.#rest.slice(0, LONGEST_LINE));
      this.#rest = this.#rest.slice(LONGEST_LINE);
    }
    return lines.map(withoutControls);
  }

  [Symbol.dispose](): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  #readOn(): void {
    for (let count = -1; count !== 0; this.#at += count) {
      count = readSync(this.#fd, this.#buffer, 0, BUFFER_BYTES, this.#at);
      this.#rest += this.#decoder.write(this.#buffer.subarray(0, count));
    }
  }

  #isRotated(): boolean {
    try {
      return statSync(this.#path).ino !== fstatSync(this.#fd).ino;
    } catch {
      return false;
    }
  }

  #open(): boolean {
    try {
      const fd = openSync(this.#path, "r");
      if (this.#fd >= 0) closeSync(this.#fd);
      this.#fd = fd;
      return true;
    } catch {
      return false;
    }
  }
}
