/** A conversation with the kernel's rtnetlink(7): requests go out as bytes, what comes back is split into messages. */
import { closeSync, readSync, writeSync } from "node:fs";
import { netlinkSocket } from "./index.ts";

/** linux/netlink.h: struct nlmsghdr is length, type, flags, sequence number, port; each message is padded to 4 bytes. */
export const NLMSG_HEADER_BYTES = 16;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
/** nlmsgerr_attrs: the kernel's sentence. */
const NLMSGERR_ATTR_MSG = 1;
const ROUTE_PROTOCOL = 0;
/** The kernel never sends more at once (Documentation/userspace-api/netlink/intro.rst recommends 8 KiB or more). */
const BUFFER_BYTES = 64 * 1024;
const PORTION = 64;

export interface NetlinkMessage {
  type: number;
  /** What follows the header. */
  payload: Buffer;
}

/** A request that the kernel refused. */
export interface Refusal {
  /** Which of the batch, from 0. */
  index: number;
  /** Positive, as in errno(3). */
  errno: number;
  /** The kernel's own words; often empty. */
  message: string;
}

export class NetlinkSocket implements Disposable {
  readonly #fd: number;
  #buffer: Buffer | undefined;
  #open = true;

  /** In the calling thread's network namespace, where it stays. */
  constructor() {
    this.#fd = netlinkSocket(ROUTE_PROTOCOL);
  }

  /**
   * Sends requests that each ask for an acknowledgement (NLM_F_ACK) and are numbered 0, 1, 2 ... (nlmsg_seq). The kernel
   * carries out all of them, also those after one that it refuses.
   * @returns those it refused.
   */
  transact(batch: Uint8Array): Refusal[] {
    const refusals: Refusal[] = [];
    for (const { count, bytes } of portions(Buffer.from(batch.buffer, batch.byteOffset, batch.byteLength))) {
      writeSync(this.#fd, bytes);
      for (let waiting = count; waiting > 0; ) {
        for (const { type, flags, sequence, payload } of this.#receive()) {
          if (type !== NLMSG_ERROR) continue;
          waiting -= 1;
          const errno = -payload.readInt32LE(0);
          if (errno !== 0) refusals.push({ index: sequence, errno, message: sentence(flags, payload) });
        }
      }
    }
    return refusals;
  }

  /**
   * Sends one request for a listing (NLM_F_DUMP) and reads it to its end.
   * @throws an Error with the kernel's errno as `errno` when it is refused.
   */
  dump(request: Uint8Array): NetlinkMessage[] {
    writeSync(this.#fd, request);
    const messages: NetlinkMessage[] = [];
    for (;;) {
      for (const { type, payload } of this.#receive()) {
        if (type === NLMSG_ERROR) {
          throw Object.assign(new Error("a netlink dump was refused"), { errno: payload.readInt32LE(0) });
        }
        if (type === NLMSG_DONE) return messages;
        // The buffer is used again for the next answer.
        messages.push({ type, payload: Buffer.from(payload) });
      }
    }
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  *#receive(): Iterable<RawMessage> {
    this.#buffer ??= Buffer.allocUnsafeSlow(BUFFER_BYTES);
    const length = readSync(this.#fd, this.#buffer);
    yield* splitMessages(this.#buffer.subarray(0, length));
  }
}

interface RawMessage extends NetlinkMessage {
  flags: number;
  sequence: number;
}

/** @throws RangeError when a length is not within the data. */
export function* splitMessages(data: Buffer): Iterable<RawMessage> {
  for (let at = 0; at < data.length; ) {
    const length = data.readUInt32LE(at);
    if (length < NLMSG_HEADER_BYTES || at + length > data.length)
      throw new RangeError("a netlink message is cut short");
    yield {
      type: data.readUInt16LE(at + 4),
      flags: data.readUInt16LE(at + 6),
      sequence: data.readUInt32LE(at + 8),
      payload: data.subarray(at + NLMSG_HEADER_BYTES, at + length),
    };
    at += (length + 3) & ~3;
  }
}

/** Cuts into parts of as many whole messages as surely leave room for their answers in the socket's buffer. */
function* portions(batch: Buffer): Iterable<{ count: number; bytes: Buffer }> {
  let start = 0;
  let end = 0;
  let count = 0;
  for (const { payload } of splitMessages(batch)) {
    end += (NLMSG_HEADER_BYTES + payload.length + 3) & ~3;
    count += 1;
    if (count < PORTION) continue;
    yield { count, bytes: batch.subarray(start, end) };
    start = end;
    count = 0;
  }
  if (count > 0) yield { count, bytes: batch.subarray(start, end) };
}

/** struct nlmsgerr: the error, then the request's header, then, if flagged, attributes. */
function sentence(flags: number, payload: Buffer): string {
  if ((flags & NLM_F_ACK_TLVS) === 0 || (flags & NLM_F_CAPPED) === 0) return "";
  for (let at = 4 + NLMSG_HEADER_BYTES; at + 4 <= payload.length; ) {
    const length = payload.readUInt16LE(at);
    if (length < 4 || at + length > payload.length) return "";
    if (payload.readUInt16LE(at + 2) === NLMSGERR_ATTR_MSG) {
      return payload.toString("utf8", at + 4, at + length).replace(/\0+$/, "");
    }
    at += (length + 3) & ~3;
  }
  return "";
}
