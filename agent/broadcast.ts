/** How many records wait for one slow reader before further ones are dropped. */
const QUEUE_LIMIT = 1024;

/** The reading end of a stream: `write` answers false when it should wait for the next `drain`. */
export interface Sink<T> {
  write(record: T): boolean;
  once(event: "drain", listener: () => void): unknown;
}

/** Passes records on to any number of readers, each with a bounded queue of its own; what does not fit is counted. */
export class Broadcast<T> {
  readonly #readers = new Set<Reader<T>>();

  publish(record: T): void {
    for (const reader of this.#readers) reader.offer(record);
  }

  /**
   * Subscribes a sink; `withDropped` makes the record that tells the reader how many it missed before this one.
   * @returns what ends the subscription.
   */
  subscribe(sink: Sink<T>, withDropped: (record: T, dropped: number) => T = (record) => record): () => void {
    const reader = new Reader(sink, withDropped);
    this.#readers.add(reader);
    return () => {
      this.#readers.delete(reader);
    };
  }
}

class Reader<T> {
  readonly #sink: Sink<T>;
  readonly #withDropped: (record: T, dropped: number) => T;
  #queue: T[] = [];
  #blocked = false;
  #dropped = 0;

  constructor(sink: Sink<T>, withDropped: (record: T, dropped: number) => T) {
    this.#sink = sink;
    this.#withDropped = withDropped;
  }

  offer(record: T): void {
    if (this.#queue.length >= QUEUE_LIMIT) {
      this.#dropped += 1;
      return;
    }
    const dropped = this.#dropped;
    this.#dropped = 0;
    this.#queue.push(dropped > 0 ? this.#withDropped(record, dropped) : record);
    this.#pump();
  }

  #pump(): void {
    while (!this.#blocked) {
      const record = this.#queue.shift();
      if (record === undefined) return;
      if (this.#sink.write(record)) continue;
      this.#blocked = true;
      this.#sink.once("drain", () => {
        this.#blocked = false;
        this.#pump();
      });
    }
  }
}
