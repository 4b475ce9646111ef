import { RotatedFile } from "../text/rotated-file.ts";

/** What a guest's log may take on disk: it is kept where states are, which is memory on most hosts. */
const LIMIT_BYTES = 512 * 1024;
/** How long records wait for others: a start does not wait for the disk. */
const DELAY_MS = 250;
/** What may wait. */
const PENDING_BYTES = 64 * 1024;
const LEVELS: ReadonlySet<string> = new Set(["error", "warning", "info", "debug"]);

/** The agent's log of one sandbox in a bounded file, a line a record. */
export class GuestLogFile {
  readonly #path: string;
  #file: RotatedFile | undefined;
  #pending: string[] = [];
  #pendingBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #flush = () => this.#write();

  constructor(path: string) {
    this.#path = path;
    process.once("exit", this.#flush);
  }

  /** @param message without line ends. */
  add(level: string, message: string): void {
    const known = LEVELS.has(level) ? level : "debug";
    const line = `${new Date().toISOString()} ${known} ${message}\n`;
    this.#pending.push(line);
    this.#pendingBytes += line.length;
    if (known === "error" || this.#pendingBytes > PENDING_BYTES) this.#write();
    else this.#timer ??= setTimeout(this.#flush, DELAY_MS).unref();
  }

  /** Writes what waits. May be called again. */
  close(): void {
    if (this.#closed) return;
    this.#write();
    this.#closed = true;
    process.removeListener("exit", this.#flush);
    this.#file?.close();
  }

  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pending.length === 0 || this.#closed) return;
    const text = this.#pending.join("");
    this.#pending = [];
    this.#pendingBytes = 0;
    try {
      this.#file ??= new RotatedFile(this.#path, LIMIT_BYTES, { anew: false });
      this.#file.append(Buffer.from(text));
    } catch {
      // The sandbox's folder is gone, or cannot be written: the log has the record as well.
    }
  }
}
