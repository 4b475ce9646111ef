/** How much text may come: a burst at once, then a rate, and a total. Bytes, and bytes a second. */
export interface Limits {
  burst: number;
  rate: number;
  total: number;
}

export interface Dropped {
  records: number;
  bytes: number;
}

/** Keeps a log that somebody else fills from growing without bound, and counts what it lets fall (a token bucket). */
export class LogLimit {
  readonly #limits: Limits;
  readonly #now: () => number;
  #tokens: number;
  #filledAt: number;
  #written = 0;
  #dropped: Dropped = { records: 0, bytes: 0 };

  /** @param now the time in milliseconds. */
  constructor(limits: Limits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
    this.#tokens = limits.burst;
    this.#filledAt = now();
  }

  /** Whether a record of so many bytes may be written; one that may not is counted as dropped. */
  admit(bytes: number): boolean {
    const { burst, rate, total } = this.#limits;
    const now = this.#now();
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#filledAt) / 1000) * rate);
    this.#filledAt = now;
    if (bytes > this.#tokens || this.#written + bytes > total) {
      this.#dropped = { records: this.#dropped.records + 1, bytes: this.#dropped.bytes + bytes };
      return false;
    }
    this.#tokens -= bytes;
    this.#written += bytes;
    return true;
  }

  /** What was dropped since the last call; undefined for nothing. */
  takeDropped(): Dropped | undefined {
    const dropped = this.#dropped;
    if (dropped.records === 0) return undefined;
    this.#dropped = { records: 0, bytes: 0 };
    return dropped;
  }
}
