/** An entry of an initramfs. The order counts: a folder comes before what it holds. */
export type CpioEntry =
  | { type: "folder"; path: string }
  | { type: "file"; path: string; data: Buffer; executable: boolean }
  | { type: "character-device"; path: string; major: number; minor: number };

const TRAILER = "TRAILER!!!";

/**
 * An initramfs in the "newc" format, owned by root, with all times zero, so the same entries give the same bytes.
 * Writing it here needs no root for the device nodes. Source: Documentation/driver-api/early-userspace/buffer-format.rst.
 */
export function packCpio(entries: CpioEntry[]): Buffer {
  const parts = entries.map((entry, index) => packEntry(entry, index + 1));
  parts.push(header(TRAILER, { inode: 0, mode: 0, links: 1, size: 0, major: 0, minor: 0 }));
  return Buffer.concat(parts);
}

function packEntry(entry: CpioEntry, inode: number): Buffer {
  const fields = { inode, links: 1, size: 0, major: 0, minor: 0 };
  switch (entry.type) {
    case "folder":
      return header(entry.path, { ...fields, mode: 0o040755, links: 2 });
    case "character-device":
      return header(entry.path, { ...fields, mode: 0o020600, major: entry.major, minor: entry.minor });
    case "file": {
      const mode = entry.executable ? 0o100755 : 0o100644;
      return Buffer.concat([header(entry.path, { ...fields, mode, size: entry.data.length }), padded(entry.data)]);
    }
  }
}

interface Fields {
  inode: number;
  mode: number;
  links: number;
  size: number;
  major: number;
  minor: number;
}

function header(path: string, { inode, mode, links, size, major, minor }: Fields): Buffer {
  const name = Buffer.from(`${path}\0`);
  // inode, mode, uid, gid, links, mtime, size, device major and minor, rdev major and minor, name's size, checksum
  const numbers = [inode, mode, 0, 0, links, 0, size, 0, 0, major, minor, name.length, 0];
  const text = numbers.map((number) => number.toString(16).padStart(8, "0")).join("");
  return padded(Buffer.concat([Buffer.from(`070701${text}`), name]));
}

function padded(data: Buffer): Buffer {
  const rest = data.length % 4;
  return rest === 0 ? data : Buffer.concat([data, Buffer.alloc(4 - rest)]);
}
