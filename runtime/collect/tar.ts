/** A tar archive (POSIX.1-2017, pax, "ustar Interchange Format") of small files that are in memory. */

export interface TarFile {
  /** Relative, of printable ASCII without leading "/". */
  name: string;
  content: Buffer;
}

const BLOCK = 512;
const NAME_LENGTH = 100;
const PREFIX_LENGTH = 155;
const CHECKSUM = { at: 148, length: 8 };

/** The archive; all files are root's, and readable by root alone. @param seconds of the files' times since the epoch. */
export function tar(files: readonly TarFile[], seconds: number): Buffer {
  const parts = files.flatMap(({ name, content }) => [
    header(name, content.length, seconds),
    content,
    padding(content.length),
  ]);
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

function header(path: string, size: number, seconds: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  const { name, prefix } = split(path);
  block.write(name, 0, "latin1");
  block.write("0000600\0", 100, "latin1");
  block.write("0000000\0", 108, "latin1");
  block.write("0000000\0", 116, "latin1");
  block.write(octal(size, 11), 124, "latin1");
  block.write(octal(seconds, 11), 136, "latin1");
  // The checksum is of a header in which it is spaces.
  block.fill(" ", CHECKSUM.at, CHECKSUM.at + CHECKSUM.length, "latin1");
  block.write("0", 156, "latin1");
  block.write("ustar\x0000", 257, "latin1");
  block.write("root\0", 265, "latin1");
  block.write("root\0", 297, "latin1");
  block.write(prefix, 345, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, CHECKSUM.at, "latin1");
  return block;
}

/** Throws RangeError for a name that the form has no room for. */
function split(path: string): { name: string; prefix: string } {
  if (path.length <= NAME_LENGTH) return { name: path, prefix: "" };
  for (let at = path.indexOf("/"); at > 0; at = path.indexOf("/", at + 1)) {
    const name = path.slice(at + 1);
    if (name.length <= NAME_LENGTH && at <= PREFIX_LENGTH) return { name, prefix: path.slice(0, at) };
  }
  throw new RangeError(`the name ${path} is too long for a tar archive`);
}

function octal(value: number, digits: number): string {
  return `${Math.max(0, Math.floor(value)).toString(8).padStart(digits, "0")}\0`;
}

function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}
