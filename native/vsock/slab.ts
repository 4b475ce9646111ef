/** The most bytes one read asks for. */
export const READ_LENGTH = 64 * 1024;

/** Memory that reads fill from the front, handed out as slices with no copy. */
export class Slab {
  buffer: Buffer = Buffer.alloc(0);
  /** Where the next read goes. */
  offset = 0;
  readonly #length: number;

  constructor(reads: number) {
    this.#length = reads * READ_LENGTH;
  }

  /** Makes room for READ_LENGTH bytes at `offset`; memory that slices are still taken from lives as long as they do. */
  reserve(): void {
    if (this.buffer.length - this.offset >= READ_LENGTH) return;
    this.buffer = Buffer.allocUnsafeSlow(this.#length);
    this.offset = 0;
  }

  /** The `count` bytes just read. */
  take(count: number): Buffer {
    const data = this.buffer.subarray(this.offset, this.offset + count);
    // Slices stay aligned for those who copy them on.
    this.offset += (count + 7) & ~7;
    return data;
  }

  /** Lets the next read overwrite what was taken. */
  rewind(): void {
    this.offset = 0;
  }
}
