/**
 * The two messages that carry stdio, coded by hand: the generated code copies a chunk's bytes three times on the way out
 * and once on the way in, which is most of what a stream costs in the guest.
 */
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { type OutputChunk, ProcessId, type WriteStdinRequest } from "../../protocol/generated/agent.ts";

/** Field 1, length-delimited (protobuf encoding). */
const FIELD_1_BYTES = 0x0a;
const FIELD_2_BYTES = 0x12;
const FIELD_3_VARINT = 0x18;
const FIELD_4_VARINT = 0x20;
const WIRE_TYPE_MASK = 7;
const EMPTY = Buffer.alloc(0);

/** An OutputChunk's bytes, as the generated OutputChunk.encode() makes them. */
export function encodeOutputChunk({ data }: OutputChunk): Buffer {
  const { length } = data;
  if (length === 0) return EMPTY;
  let head = 2;
  for (let rest = length >>> 7; rest > 0; rest >>>= 7) head += 1;
  const message = Buffer.allocUnsafe(head + length);
  message[0] = FIELD_1_BYTES;
  let rest = length;
  for (let at = 1; at < head; at += 1) {
    message[at] = at < head - 1 ? (rest & 0x7f) | 0x80 : rest;
    rest >>>= 7;
  }
  message.set(data, head);
  return message;
}

/** A WriteStdinRequest as the generated decode() reads it; its data is a part of `message`, not a copy. */
export function decodeWriteStdin(message: Buffer): WriteStdinRequest {
  const reader = new BinaryReader(message);
  const request: WriteStdinRequest = { process: undefined, data: EMPTY, port: 0, portBytes: 0n };
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === FIELD_1_BYTES) request.process = ProcessId.decode(reader, reader.uint32());
    else if (tag === FIELD_2_BYTES) {
      const { buffer, byteOffset, byteLength } = reader.bytes();
      request.data = Buffer.from(buffer, byteOffset, byteLength);
    } else if (tag === FIELD_3_VARINT) request.port = reader.uint32();
    else if (tag === FIELD_4_VARINT) request.portBytes = BigInt(reader.uint64().toString());
    else reader.skip(tag & WIRE_TYPE_MASK, tag >>> 3);
  }
  return request;
}
