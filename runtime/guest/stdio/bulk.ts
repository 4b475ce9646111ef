import { now } from "../../process/clock.ts";

/** Of a stream that gets a port of its own, so much comes within so long: more than is typed or logged, less than any copy is slow to bring. */
const BULK_BYTES = 256 * 1024;
const BULK_MS = 1000;

/** Tells a stream of which much comes at a time from one of which it does not. */
export class Bulk {
  #since = Number.NEGATIVE_INFINITY;
  #bytes = 0;

  /** Counts what has come; true once for each time that it is much. */
  add(bytes: number): boolean {
    const time = now();
    if (time - this.#since > BULK_MS) {
      this.#since = time;
      this.#bytes = 0;
    }
    this.#bytes += bytes;
    if (this.#bytes < BULK_BYTES) return false;
    this.#since = Number.NEGATIVE_INFINITY;
    return true;
  }
}
