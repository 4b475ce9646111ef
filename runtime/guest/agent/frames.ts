/** gRPC's length-prefixed messages (gRPC over HTTP/2, "Length-Prefixed-Message"): one flag byte, four of length, data. */
import { CaissonError } from "../../../protocol/errors.ts";
import { LONGEST_MESSAGE } from "../../../protocol/guest-contract.ts";

const PREFIX = 5;

/** A message as it goes on the wire. */
export function encodeFrame(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX + message.length);
  frame.writeUInt8(0, 0);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX);
  return frame;
}

/** Cuts a byte stream into messages. Holds at most one message and one chunk. */
export class FrameReader {
  readonly #limit: number;
  #chunks: Buffer[] = [];
  #buffered = 0;

  /** @param limit of a message, bytes. */
  constructor(limit = LONGEST_MESSAGE) {
    this.#limit = limit;
  }

  /** Adds bytes from the wire. */
  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
  }

  /**
   * The next whole message, or undefined when more bytes are needed.
   * @throws CaissonError CAISSON_E_AGENT for a compressed or over-long message.
   */
  next(): Buffer | undefined {
    if (this.#buffered < PREFIX) return undefined;
    const prefix = this.#peek(PREFIX);
    if (prefix.readUInt8(0) !== 0) {
      throw new CaissonError("CAISSON_E_AGENT", "the agent sent a compressed message, which was never agreed on");
    }
    const length = prefix.readUInt32BE(1);
    if (length > this.#limit) {
      throw new CaissonError(
        "CAISSON_E_AGENT",
        `the agent announced a message of ${length} bytes; the limit is ${this.#limit}`,
      );
    }
    if (this.#buffered < PREFIX + length) return undefined;
    return this.#peek(PREFIX + length, true).subarray(PREFIX);
  }

  /** True when no part of a message is left over. */
  get empty(): boolean {
    return this.#buffered === 0;
  }

  #peek(length: number, take = false): Buffer {
    let first = this.#chunks[0] as Buffer;
    if (first.length < length) {
      first = Buffer.concat(this.#chunks);
      this.#chunks = [first];
    }
    if (take) {
      this.#buffered -= length;
      if (first.length === length) this.#chunks.shift();
      else this.#chunks[0] = first.subarray(length);
    }
    return first.subarray(0, length);
  }
}
