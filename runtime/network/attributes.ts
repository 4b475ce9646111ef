/** The attributes of netlink messages (netlink(7), struct nlattr): length, type, value, padded to 4 bytes. */

export interface Attribute {
  type: number;
  value: Buffer;
}

const HEADER_BYTES = 4;
/** The mask of an attribute's type, whose upper two bits are flags (NLA_F_NESTED, NLA_F_NET_BYTEORDER), which the kernel sets or not as it likes. */
const TYPE_MASK = 0x3fff;

export function encodeAttributes(attributes: readonly Attribute[]): Buffer {
  return Buffer.concat(attributes.map(encodeAttribute));
}

function encodeAttribute({ type, value }: Attribute): Buffer {
  const length = HEADER_BYTES + value.length;
  if (length > 0xffff) throw new RangeError(`a netlink attribute of ${length} bytes is too long`);
  const encoded = Buffer.alloc(padded(length));
  encoded.writeUInt16LE(length, 0);
  encoded.writeUInt16LE(type, 2);
  value.copy(encoded, HEADER_BYTES);
  return encoded;
}

/** @throws RangeError when a length is not within the data. */
export function parseAttributes(data: Buffer): Attribute[] {
  const attributes: Attribute[] = [];
  for (let at = 0; at < data.length; ) {
    const length = data.length - at < HEADER_BYTES ? 0 : data.readUInt16LE(at);
    if (length < HEADER_BYTES || at + length > data.length) throw new RangeError("a netlink attribute is cut short");
    attributes.push({
      type: data.readUInt16LE(at + 2) & TYPE_MASK,
      value: data.subarray(at + HEADER_BYTES, at + length),
    });
    at += padded(length);
  }
  return attributes;
}

function padded(length: number): number {
  return (length + 3) & ~3;
}

export function bytesOf(attributes: readonly Attribute[], type: number): Buffer | undefined {
  return attributes.find((attribute) => attribute.type === type)?.value;
}

export function numberOf(attributes: readonly Attribute[], type: number): number | undefined {
  const value = bytesOf(attributes, type);
  return value !== undefined && value.length >= 4 ? value.readUInt32LE(0) : undefined;
}

export function textOf(attributes: readonly Attribute[], type: number): string | undefined {
  return bytesOf(attributes, type)?.toString("utf8").replace(/\0.*$/s, "");
}

export function number(type: number, value: number): Attribute {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return { type, value: bytes };
}

export function byte(type: number, value: number): Attribute {
  return { type, value: Buffer.of(value) };
}

export function text(type: number, value: string): Attribute {
  return { type, value: Buffer.from(`${value}\0`) };
}

export function nested(type: number, attributes: readonly Attribute[]): Attribute {
  return { type: type | NLA_F_NESTED, value: encodeAttributes(attributes) };
}

const NLA_F_NESTED = 0x8000;
