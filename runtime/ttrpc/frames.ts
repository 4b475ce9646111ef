/**
 * ttrpc's frames (containerd/ttrpc, PROTOCOL.md). Each has a header of ten bytes, numbers big-endian:
 *
 *     length of the data: 4 | stream: 4 | type: 1 | flags: 1
 *
 * and then its data, at most MAX_DATA bytes.
 */

export const HEADER_LENGTH = 10;
export const MAX_DATA = 4 * 1024 * 1024;

export const FrameType = { request: 1, response: 2, data: 3 } as const;

export interface Frame {
  stream: number;
  /** A FrameType, or one that a later protocol knows. */
  type: number;
  flags: number;
  data: Buffer;
}

/** A frame whose data is longer than MAX_DATA; it is dropped while it comes in. */
export interface OversizedFrame {
  stream: number;
  type: number;
  length: number;
}

export function isOversized(frame: Frame | OversizedFrame): frame is OversizedFrame {
  return "length" in frame;
}

/** Throws RangeError for data that is too long. */
export function encodeFrame({ stream, type, flags, data }: Frame): Buffer {
  if (data.length > MAX_DATA) {
    throw new RangeError(`${data.length} bytes do not fit a ttrpc frame, which takes ${MAX_DATA}`);
  }
  const frame = Buffer.allocUnsafe(HEADER_LENGTH + data.length);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(stream, 4);
  frame.writeUInt8(type, 8);
  frame.writeUInt8(flags, 9);
  data.copy(frame, HEADER_LENGTH);
  return frame;
}

/** Shorter chunks are joined while more come: a byte in a Buffer of its own takes a hundred times the room. */
const SHORT_CHUNK = 16 * 1024;

/** Takes bytes as they come and gives the frames in them. Never holds more than one frame and the chunk it ends in. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #held = 0;
  /** Bytes of an oversized frame that are still to come. */
  #skip = 0;

  push(chunk: Buffer): void {
    const skipped = Math.min(this.#skip, chunk.length);
    this.#skip -= skipped;
    if (skipped === chunk.length) return;
    this.#chunks.push(chunk.subarray(skipped));
    this.#held += chunk.length - skipped;
    this.#joinShort();
  }

  /** The next whole frame; an oversized one as soon as its header is there. */
  next(): Frame | OversizedFrame | undefined {
    if (this.#held < HEADER_LENGTH) return undefined;
    const header = this.#peek(HEADER_LENGTH);
    const length = header.readUInt32BE(0);
    const stream = header.readUInt32BE(4);
    const type = header.readUInt8(8);
    if (length > MAX_DATA) {
      this.#take(HEADER_LENGTH);
      const held = Math.min(this.#held, length);
      this.#take(held);
      this.#skip = length - held;
      return { stream, type, length };
    }
    if (this.#held < HEADER_LENGTH + length) return undefined;
    const flags = header.readUInt8(9);
    return { stream, type, flags, data: this.#take(HEADER_LENGTH + length).subarray(HEADER_LENGTH) };
  }

  /** Whether the bytes so far end where a frame does. */
  get empty(): boolean {
    return this.#held === 0 && this.#skip === 0;
  }

  /** Each join at least doubles a chunk, so that a byte is copied a few times at most. */
  #joinShort(): void {
    for (;;) {
      const [before, last] = this.#chunks.slice(-2);
      if (before === undefined || last === undefined) return;
      if (before.length >= SHORT_CHUNK || last.length < before.length) return;
      this.#chunks.splice(-2, 2, Buffer.concat([before, last]));
    }
  }

  /** The first bytes, which stay; the first chunk then holds them. */
  #peek(length: number): Buffer {
    const [first] = this.#chunks;
    if (first !== undefined && first.length >= length) return first;
    const joined = Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }

  #take(length: number): Buffer {
    // A large frame comes in many chunks: they are joined once, when all are there.
    const first = length === 0 ? Buffer.alloc(0) : this.#peek(length);
    this.#held -= length;
    if (length > 0 && first.length > length) this.#chunks[0] = first.subarray(length);
    else if (length > 0) this.#chunks.shift();
    return first.subarray(0, length);
  }
}
