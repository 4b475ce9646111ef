/** The encoding of ACPI tables that this image brings along (ACPI specification, chapters 5.2.11 and 20, AML). */

/** A secondary table (SSDT) with these objects in the scope \_SB: the same bytes on each call. */
export function secondaryTable(id: string, objects: number[]): Buffer {
  const scope = block([0x10], [...ascii("_SB_"), ...objects]);
  const header = Buffer.alloc(36);
  header.write("SSDT", 0);
  header.writeUInt32LE(header.length + scope.length, 4);
  header.writeUInt8(2, 8);
  header.write("CAISSN", 10);
  header.write(id.padEnd(8).slice(0, 8), 16);
  header.writeUInt32LE(1, 24);
  header.write("CSSN", 28);
  header.writeUInt32LE(1, 32);
  const table = Buffer.concat([header, Buffer.from(scope)]);
  table.writeUInt8(-table.reduce((sum, byte) => sum + byte, 0) & 0xff, 9);
  return table;
}

/** A device; `name` has four characters. */
export function device(name: string, body: number[]): number[] {
  return block([0x5b, 0x82], [...ascii(name), ...body]);
}

/** A name with a value that others may store into. */
export function named(name: string, value: number[]): number[] {
  return [0x08, ...ascii(name), ...value];
}

/** A method without arguments. */
export function method(name: string, body: number[]): number[] {
  return block([0x14], [...ascii(name), 0, ...body]);
}

export function whenTrue(predicate: number[], body: number[]): number[] {
  return block([0xa0], [...predicate, ...body]);
}

export function returns(value: number[]): number[] {
  return [0xa4, ...value];
}

export const ZERO: readonly number[] = [0x00];
export const ONE: readonly number[] = [0x01];

export function byte(value: number): number[] {
  return [0x0a, value];
}

export function text(value: string): number[] {
  return [0x0d, ...ascii(value), 0];
}

/** A template of resources, each as chapter 6.4 describes it. */
export function resourceTemplate(resources: number[]): number[] {
  const list = [...resources, 0x79, 0];
  return block([0x11], [...byte(list.length), ...list]);
}

/** An opcode, the length of all that follows it, and that. */
export function block(opcode: number[], body: number[]): number[] {
  const short = body.length + 1;
  if (short <= 0x3f) return [...opcode, short, ...body];
  const bytes = body.length + 2 < 2 ** 12 ? 1 : 2;
  const length = body.length + 1 + bytes;
  const rest = bytes === 1 ? [length >> 4] : [(length >> 4) & 0xff, length >> 12];
  return [...opcode, (bytes << 6) | (length & 0xf), ...rest, ...body];
}

export function ascii(value: string): number[] {
  return [...Buffer.from(value, "latin1")];
}

export function word(value: number): number[] {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return [...bytes];
}

export function quadWord(value: bigint): number[] {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return [...bytes];
}
