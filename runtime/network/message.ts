/** Requests to rtnetlink(7) as bytes. */
import { NLMSG_HEADER_BYTES } from "../../native/posix/netlink.ts";
import { type Attribute, encodeAttributes } from "./attributes.ts";

export const NLM_F_REQUEST = 0x1;
const NLM_F_ACK = 0x4;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
const NLM_F_DUMP = 0x300;

/** A change that the kernel is asked for, and how an error tells of it. */
export interface Request {
  /** RTM_*. */
  type: number;
  /** NLM_F_* beyond those that every change has. */
  flags: number;
  /** The fixed part, struct ifinfomsg or its like. */
  header: Buffer;
  attributes: readonly Attribute[];
  /** A verb with its object: "give eth0 the address 10.0.0.2/24". */
  doing: string;
}

/** Requests as one batch for NetlinkSocket.transact(): numbered from 0, each asking for an acknowledgement. */
export function encodeBatch(requests: readonly Request[]): Buffer {
  return Buffer.concat(
    requests.map(({ type, flags, header, attributes }, index) =>
      encode(type, NLM_F_REQUEST | NLM_F_ACK | flags, index, [header, encodeAttributes(attributes)]),
    ),
  );
}

/** A request for a listing, for NetlinkSocket.dump(). */
export function encodeDump(type: number, header: Buffer): Buffer {
  return encode(type, NLM_F_REQUEST | NLM_F_DUMP, 0, [header]);
}

function encode(type: number, flags: number, sequence: number, parts: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(NLMSG_HEADER_BYTES);
  const message = Buffer.concat([head, ...parts]);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt16LE(type, 4);
  message.writeUInt16LE(flags, 6);
  message.writeUInt32LE(sequence, 8);
  return message;
}
