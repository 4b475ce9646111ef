import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { stripVTControlCharacters } from "node:util";
import { RotatedFile } from "../text/rotated-file.ts";

/** What a guest can make the log of its console grow to, and what of it is kept for error messages. */
const FILE_LIMIT_BYTES = 1024 * 1024;
const TAIL_BYTES = 16 * 1024;
const LINE_LENGTH = 240;

/** The guest's serial console: its last part in memory for error messages, more of it in a file, both bounded. */
export class ConsoleLog {
  readonly #socket: Socket;
  readonly #file: RotatedFile;
  #tail = Buffer.alloc(0);

  /**
   * Takes over `fd`, our end of QEMU's console, and starts the file anew.
   * @throws the error of opening the file, after closing `fd`.
   */
  constructor(fd: number, path: string) {
    try {
      this.#file = new RotatedFile(path, FILE_LIMIT_BYTES, { anew: true });
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    this.#socket = new Socket({ fd, readable: true, writable: false });
    this.#socket.on("data", (chunk: Buffer) => this.#take(chunk));
    this.#socket.on("error", () => this.#socket.destroy());
    this.#socket.on("close", () => this.#file.close());
  }

  /** The last lines, for a message to a person: no control characters, bounded. */
  lastLines(count: number): string[] {
    return stripVTControlCharacters(this.#tail.toString("latin1"))
      .split(/\r?\n/)
      .map((line) => line.replaceAll(/[^\x20-\x7e]/g, "").slice(0, LINE_LENGTH))
      .filter((line) => line.trim() !== "")
      .slice(-count);
  }

  /** The last line that contains the text, printable as above. */
  findLast(text: string): string | undefined {
    return this.lastLines(TAIL_BYTES).findLast((line) => line.includes(text));
  }

  /** Resolves once all that QEMU wrote before it ended has been taken, so that the last lines are the last. */
  async ended(): Promise<void> {
    if (this.#socket.closed) return;
    await new Promise<void>((resolve) => this.#socket.once("close", () => resolve()));
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#tail = Buffer.concat([this.#tail, chunk]).subarray(-TAIL_BYTES);
    this.#file.append(chunk);
  }
}
