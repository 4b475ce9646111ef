import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { run } from "./run.ts";

const BOOT_MAGIC = 0x53726448; // "HdrS"
const SECTOR = 512;

/**
 * The ELF kernel inside a bzImage. QEMU starts an ELF kernel at its PVH entry, which spares the guest the decompression:
 * seconds under emulation. Source: Documentation/arch/x86/boot.rst (setup_sects, payload_offset, payload_length).
 * @throws Error when the file is no bzImage of boot protocol 2.08 or later, or holds no ELF kernel with a PVH entry.
 */
export function extractKernel(bzImage: Buffer): Buffer {
  if (bzImage.length < 0x250 || bzImage.readUInt32LE(0x202) !== BOOT_MAGIC || bzImage.readUInt16LE(0x206) < 0x208) {
    throw new Error("the kernel is not a bzImage of boot protocol 2.08 or later");
  }
  const setupSectors = bzImage[0x1f1] || 4;
  const start = (setupSectors + 1) * SECTOR + bzImage.readUInt32LE(0x248);
  const payload = bzImage.subarray(start, start + bzImage.readUInt32LE(0x24c));
  const elf = trimElf(decompress(payload));
  if (!elf.includes(PVH_NOTE))
    throw new Error("the kernel has no PVH entry (CONFIG_PVH), so QEMU cannot start it as ELF");
  return elf;
}

/** Head of the ELF note that holds the PVH entry: name size 4, descriptor size 4 or 8, type 18, name "Xen". */
const PVH_NOTE = Buffer.from([0x12, 0, 0, 0, 0x58, 0x65, 0x6e, 0]);

function decompress(payload: Buffer): Buffer {
  const magic = payload.toString("hex", 0, 6);
  // The kernel appends the uncompressed size to formats that do not carry it, xz among them; xz would call it garbage.
  if (magic === "fd377a585a00") return pipeThrough("xz", payload.subarray(0, -4));
  if (magic.startsWith("1f8b")) return gunzipSync(payload);
  if (magic.startsWith("28b52ffd")) return zstdDecompressSync(payload.subarray(0, -4));
  throw new Error(`the kernel is compressed in a format that is not known here (it begins with ${magic})`);
}

function pipeThrough(program: string, input: Buffer): Buffer {
  return run(program, ["-dc"], { input, maxBuffer: 1 << 30 });
}

/** Cuts off what follows the section headers: the relocations that only the decompressor's KASLR uses. */
function trimElf(image: Buffer): Buffer {
  if (image.readUInt32BE(0) !== 0x7f454c46) throw new Error("the kernel's payload is not an ELF file");
  const end = Number(image.readBigUInt64LE(0x28)) + image.readUInt16LE(0x3a) * image.readUInt16LE(0x3c);
  return image.subarray(0, end);
}
