const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const DT_NEEDED = 1n;
const DT_STRTAB = 5n;

/**
 * The names of the shared libraries that an ELF file asks the dynamic loader for; none for a static one.
 * Source: System V ABI, chapter 5 (program headers, dynamic section), 64-bit little-endian only.
 * @throws Error when it is no such file.
 */
export function neededLibraries(image: Buffer): string[] {
  if (image.length < 64 || image.readUInt32BE(0) !== 0x7f454c46 || image[4] !== 2 || image[5] !== 1) {
    throw new Error("not a 64-bit little-endian ELF file");
  }
  const headers = programHeaders(image);
  const dynamic = headers.find((header) => header.type === PT_DYNAMIC);
  if (dynamic === undefined) return [];
  const needed: bigint[] = [];
  let strings: bigint | undefined;
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.fileSize; at += 16) {
    const tag = image.readBigUInt64LE(at);
    const value = image.readBigUInt64LE(at + 8);
    if (tag === DT_NEEDED) needed.push(value);
    if (tag === DT_STRTAB) strings = value;
  }
  if (strings === undefined) return [];
  const table = fileOffset(headers, Number(strings));
  return needed.map((offset) => {
    const start = table + Number(offset);
    return image.toString("latin1", start, image.indexOf(0, start));
  });
}

interface ProgramHeader {
  type: number;
  offset: number;
  address: number;
  fileSize: number;
}

function programHeaders(image: Buffer): ProgramHeader[] {
  const start = Number(image.readBigUInt64LE(0x20));
  const size = image.readUInt16LE(0x36);
  return Array.from({ length: image.readUInt16LE(0x38) }, (_, index) => {
    const at = start + index * size;
    return {
      type: image.readUInt32LE(at),
      offset: Number(image.readBigUInt64LE(at + 8)),
      address: Number(image.readBigUInt64LE(at + 16)),
      fileSize: Number(image.readBigUInt64LE(at + 32)),
    };
  });
}

function fileOffset(headers: ProgramHeader[], address: number): number {
  const segment = headers.find(
    (header) => header.type === PT_LOAD && address >= header.address && address < header.address + header.fileSize,
  );
  if (segment === undefined) throw new Error("an ELF file whose string table is in no segment");
  return address - segment.address + segment.offset;
}
